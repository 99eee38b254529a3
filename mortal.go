package main

import (
	"bytes"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
)

// mortals are programs that, as process number 1 or on the way to it, end with
// the process that they have started.
var mortals = []string{
	"docker-init", "podman-init", "tini", "tini-static", "dumb-init", "catatonit",
	"sh", "ash", "bash", "dash", "busybox",
}

// outlived fails where an upgrade would be the end of everything: process number 1
// of the container ends when this process does, with its successor.
func outlived() error {
	pid := os.Getppid()
	for {
		name, parent := processOf(pid)
		switch {
		case !slices.Contains(mortals, name):
			return nil
		case pid == 1:
			return fmt.Errorf("process number 1 is %s, which ends, and with it the container, as soon as the process does that it has started: "+
				"make the container without --init and with kamal-proxy itself as its command, or start it anew instead", name)
		}
		pid = parent
	}
}

// processOf returns a process's name and its parent; "": not known.
func processOf(pid int) (name string, parent int) {
	stat, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
	open, end := bytes.IndexByte(stat, '('), bytes.LastIndexByte(stat, ')')
	if err != nil || open < 0 || end < open {
		return "", 0
	}
	fields := strings.Fields(string(stat[end+1:]))
	if len(fields) < 2 {
		return "", 0
	}
	parent, _ = strconv.Atoi(fields[1])
	return string(stat[open+1 : end]), parent
}
