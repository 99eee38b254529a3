package main

import (
	"io/fs"
	"math"
	"os"
	"path"
	"runtime/debug"
	"strconv"
	"strings"

	"kamal-proxy/transport/buffer"
)

// limitMemory makes the collector work harder before the container's memory is
// used up, where GOMEMLIMIT does not say how much there is.
func limitMemory(root fs.FS) {
	if os.Getenv("GOMEMLIMIT") != "" { // an empty one says nothing to Go, either
		return
	}
	if limit := memoryLimit(root); limit > 0 {
		debug.SetMemoryLimit(limit / 10 * 9) // the rest is for what is not Go's
		buffer.SetBudget(min(limit/4, 256<<20))
	}
}

// memoryLimit returns the bytes that the process's control groups let it have,
// of either version; 0: any number.
func memoryLimit(root fs.FS) int64 {
	least := int64(math.MaxInt64)
	groups, _ := fs.ReadFile(root, "proc/self/cgroup")
	for line := range strings.Lines(string(groups)) {
		_, rest, _ := strings.Cut(strings.TrimSpace(line), ":")
		controllers, group, _ := strings.Cut(rest, ":")
		switch {
		case controllers == "":
			least = min(least, leastUpwards(root, "sys/fs/cgroup", group, "memory.max"))
		case strings.Contains(","+controllers+",", ",memory,"):
			least = min(least, leastUpwards(root, "sys/fs/cgroup/memory", group, "memory.limit_in_bytes"))
		}
	}
	if least >= math.MaxInt64>>1 { // version 1 says a huge number for none
		return 0
	}
	return least
}

// leastUpwards returns the least limit of a group and of those above it. In a
// container the paths may be the host's, of which only the top is there.
func leastUpwards(root fs.FS, mount, group, name string) int64 {
	least := int64(math.MaxInt64)
	for group = path.Clean("/" + group); ; group = path.Dir(group) {
		text, err := fs.ReadFile(root, path.Join(mount, group, name))
		if err == nil {
			if n, err := strconv.ParseInt(strings.TrimSpace(string(text)), 10, 64); err == nil && n > 0 {
				least = min(least, n)
			}
		}
		if group == "/" {
			return least
		}
	}
}
