package service

import (
	"time"

	"kamal-proxy/actors/system"
)

// severedGrace is how long a drain still waits for those it has cut off: they
// only have to say goodbye.
const severedGrace = time.Second

// drain waits until pools have no leases left, or until its time is up.
type drain struct {
	pools   []*pool
	asker   *Asker
	began   time.Time
	timer   *time.Timer
	severed bool
	byGate  bool // of a pause or stop: a resume ends it
	over    bool
	then    func()
}

// drain begins to empty pools, and calls then when that is done.
func (s *service) drain(d *drain, timeout time.Duration) {
	d.began = time.Now()
	waits := 0
	for _, p := range d.pools {
		p.leases.sever(ErrReplaced, true)
		waits += p.leases.count
	}
	if waits == 0 {
		s.drained(d)
		return
	}
	d.asker.notify(Progress{Stage: StageDraining, InFlight: waits})
	s.drains = append(s.drains, d)
	d.timer = system.After(s.self, timeout, Message(drainTimeout{d}))
}

// settle ends the drains that have nothing left to wait for.
func (s *service) settle() {
	var done []*drain
	for _, d := range s.drains {
		if !d.over && d.waits() == 0 {
			done = append(done, d)
		}
	}
	for _, d := range done {
		s.drained(d)
	}
}

func (d *drain) waits() int {
	n := 0
	for _, p := range d.pools {
		n += p.leases.count
	}
	return n
}

// timeUp cuts off what is left; a second time, it stops waiting for it.
func (s *service) timeUp(d *drain) {
	if d.over {
		return
	}
	if d.severed {
		s.drained(d)
		return
	}
	d.severed = true
	n := 0
	for _, p := range d.pools {
		n += p.leases.sever(ErrDrained, false)
	}
	d.asker.notify(Progress{Stage: StageCut, InFlight: n})
	d.timer = system.After(s.self, severedGrace, Message(drainTimeout{d}))
}

func (s *service) drained(d *drain) {
	if d.over {
		return
	}
	d.over = true
	if d.timer != nil {
		d.timer.Stop()
	}
	s.drains = without(s.drains, d)
	d.asker.notify(Progress{Stage: StageDrained})
	d.then()
}

func without[T comparable](list []T, gone T) []T {
	kept := make([]T, 0, len(list))
	for _, x := range list {
		if x != gone {
			kept = append(kept, x)
		}
	}
	return kept
}
