package main

import "testing"

func TestConnectionsLeaveRoomForTargets(t *testing.T) {
	for files, want := range map[int64][2]int{
		1024: {448, 896}, 1 << 20: {458752, 917504}, 100: {42, 84}, 20: {2, 4}, 10: {1, 1},
	} {
		if auto, top := mostConnections(files); auto != want[0] || top != want[1] {
			t.Errorf("%d files: %d connections, at most %d", files, auto, top)
		}
	}
}
