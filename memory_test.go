package main

import (
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
