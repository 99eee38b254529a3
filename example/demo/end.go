package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// endAll ends the demo's programs, and those that took their places in an
// upgrade, which are in their process groups.
func endAll(leaders []int) {
	for _, leader := range leaders {
		for _, pid := range group(leader) {
			syscall.Kill(pid, syscall.SIGTERM)
		}
	}
	deadline := time.Now().Add(10 * time.Second)
	for _, leader := range leaders {
		for len(group(leader)) > 0 && time.Now().Before(deadline) {
			<-time.After(20 * time.Millisecond)
		}
	}
}

// group finds the demo's programs in a process group. A pid that is another
// program's by now is left alone, where the system has /proc to tell; elsewhere
// it is the group as a whole, for syscall.Kill.
func group(leader int) []int {
	entries, err := os.ReadDir("/proc")
	if err != nil || len(entries) == 0 {
		if syscall.Kill(-leader, 0) != nil {
			return nil
		}
		return []int{-leader}
	}
	var members []int
	for _, entry := range entries {
		pid, err := strconv.Atoi(entry.Name())
		if err != nil || !ours(pid) {
			continue
		}
		if in, err := syscall.Getpgid(pid); err == nil && in == leader {
			members = append(members, pid)
		}
	}
	return members
}

func ours(pid int) bool {
	line, err := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", pid))
	if err != nil {
		return false
	}
	name := filepath.Base(strings.SplitN(string(line), "\x00", 2)[0])
	return name == "kamal-proxy" || name == "demo"
}
