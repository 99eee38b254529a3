package main

import "testing"

func TestConnectionsLeaveRoomForTargets(t *testing.T) {
	for files, want := range map[int64]int{1024: 896, 1 << 20: 917504, 100: 84, 20: 4, 10: 1} {
		if got := mostConnections(files); got != want {
			t.Errorf("%d files: %d connections, want %d", files, got, want)
		}
	}
}
