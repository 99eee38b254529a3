package integration

import (
	"sync"
	"time"
)

// The machine that tests run on may stand still for a while, or have no time for
// them. The pulse of this process tells when, so that no limit is held against
// the program for what the machine did.
var pulse struct {
	mu     sync.Mutex
	last   time.Time // beat; none yet
	stalls []stall
}

// stall is a time in which the pulse failed.
type stall struct{ from, to time.Time }

const beat = 20 * time.Millisecond

// takePulse does so for as long as the process lives.
func takePulse() {
	for {
		<-time.After(beat)
		pulse.mu.Lock()
		pulse.stalls, pulse.last = stallsSoFar(), time.Now()
		pulse.mu.Unlock()
	}
}

// stallsSoFar has the stall that may have ended just now, too; pulse.mu is held.
func stallsSoFar() []stall {
	if now := time.Now(); !pulse.last.IsZero() && now.Sub(pulse.last) > 2*beat {
		return append(pulse.stalls, stall{pulse.last.Add(beat), now})
	}
	return pulse.stalls
}

// stoodStill is for how long in all the machine did, since a moment.
func stoodStill(since time.Time) (all time.Duration) {
	pulse.mu.Lock()
	defer pulse.mu.Unlock()
	for _, s := range stallsSoFar() {
		if s.from.Before(since) {
			s.from = since
		}
		all += max(0, s.to.Sub(s.from))
	}
	return all
}

// awake is the time since a moment, but for that in which the machine stood still.
func awake(since time.Time) time.Duration { return time.Since(since) - stoodStill(since) }

// afterStall is a moment, or a while after the stall that it lies in.
func afterStall(at time.Time, while time.Duration) time.Time {
	pulse.mu.Lock()
	defer pulse.mu.Unlock()
	for _, s := range stallsSoFar() {
		if s.from.Before(at) && s.to.After(at) {
			at = s.to.Add(while)
		}
	}
	return at
}
