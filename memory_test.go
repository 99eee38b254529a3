package main

import (
	"runtime/debug"
	"testing"
	"testing/fstest"
)

func TestMemoryLimitOfControlGroups(t *testing.T) {
	for name, c := range map[string]struct {
		files map[string]string
		want  int64
	}{
		"none": {nil, 0},
		"version 2, in a container": {map[string]string{
			"proc/self/cgroup": "0::/\n", "sys/fs/cgroup/memory.max": "268435456\n"}, 268435456},
		"version 2, no limit": {map[string]string{
			"proc/self/cgroup": "0::/\n", "sys/fs/cgroup/memory.max": "max\n"}, 0},
		"version 2, a group above has less": {map[string]string{
			"proc/self/cgroup": "0::/a/b\n", "sys/fs/cgroup/a/b/memory.max": "900\n", "sys/fs/cgroup/a/memory.max": "500\n"}, 500},
		"version 1": {map[string]string{
			"proc/self/cgroup":                               "5:cpu:/x\n4:memory:/docker/1\n",
			"sys/fs/cgroup/memory/memory.limit_in_bytes":     "1000\n",
			"sys/fs/cgroup/memory/x/memory.limit_in_bytes":   "1\n",
			"sys/fs/cgroup/docker/1/memory.limit_in_bytes":   "1\n",
			"sys/fs/cgroup/memory/docker/memory.limit_in_by": "1\n"}, 1000},
		"version 1, no limit": {map[string]string{
			"proc/self/cgroup": "4:memory:/\n", "sys/fs/cgroup/memory/memory.limit_in_bytes": "9223372036854771712\n"}, 0},
		"nonsense": {map[string]string{
			"proc/self/cgroup": "::::\nx\n0::/../..\n", "sys/fs/cgroup/memory.max": "-5\n"}, 0},
	} {
		root := fstest.MapFS{}
		for file, text := range c.files {
			root[file] = &fstest.MapFile{Data: []byte(text)}
		}
		if got := memoryLimit(root); got != c.want {
			t.Errorf("%s: %d, want %d", name, got, c.want)
		}
	}
}

func TestMemoryIsLimitedUnlessGOMEMLIMITSaysOtherwise(t *testing.T) {
	const group = 4 << 30
	root := fstest.MapFS{
		"proc/self/cgroup":         &fstest.MapFile{Data: []byte("0::/\n")},
		"sys/fs/cgroup/memory.max": &fstest.MapFile{Data: []byte("4294967296\n")},
	}
	before := debug.SetMemoryLimit(-1)
	defer debug.SetMemoryLimit(before)
	for given, want := range map[string]int64{"": group / 10 * 9, "off": 1 << 40, "3GiB": 1 << 40} {
		t.Setenv("GOMEMLIMIT", given)
		debug.SetMemoryLimit(1 << 40) // as if Go had read it
		limitMemory(root)
		if got := debug.SetMemoryLimit(-1); got != want {
			t.Errorf("GOMEMLIMIT=%q: %d, want %d", given, got, want)
		}
	}
}
