//go:build linux

package holder

import (
	"fmt"
	"syscall"
	"time"
)

// ending is how a process ended; unknown: it was not ours to wait for.
type ending struct {
	status  syscall.WaitStatus
	unknown bool
}

// code is what to exit with in its place.
func (e ending) code() int {
	switch {
	case e.unknown:
		return 0
	case e.status.Signaled():
		return 128 + int(e.status.Signal())
	}
	return e.status.ExitStatus()
}

// wanted: it ended well, or by a signal that it was passed.
func (e ending) wanted(passed map[syscall.Signal]bool) bool {
	if e.unknown {
		return false
	}
	return e.code() == 0 || e.status.Signaled() && passed[e.status.Signal()]
}

func (e ending) String() string {
	switch {
	case e.unknown:
		return "unknown, its predecessor waited for it"
	case e.status.Signaled():
		return fmt.Sprintf("signal: %s", e.status.Signal())
	}
	return fmt.Sprintf("exit code %d", e.status.ExitStatus())
}

const (
	leastDelay = 50 * time.Millisecond
	mostDelay  = 5 * time.Second
	goodRun    = time.Second // after it a crash counts as the first
)

// backOff says how long to wait before a crashed worker is started again.
type backOff struct{ last time.Duration }

// next doubles the wait.
func (b *backOff) next() time.Duration {
	b.last = min(max(2*b.last, leastDelay), mostDelay)
	return b.last
}

// served takes how long a worker was ready before it crashed.
func (b *backOff) served(d time.Duration) {
	if d >= goodRun {
		b.last = 0
	}
}
