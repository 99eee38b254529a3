package service

import (
	"slices"
	"time"

	"kamal-proxy/actors/system"
)

// severedGrace is how long a drain still waits for those it has cut off: they
// only have to say goodbye.
const severedGrace = time.Second

// drain waits until pools have no leases left, or until its time is up.
type drain struct {
	pools   []*pool
	echo    *Echo    // nil: there is no process before this one
	others  []*drain // whose echoes are waited for, too
	asker   *Asker
	since   time.Time // when the order was accepted
	timeout time.Duration
	timer   *time.Timer
	severed bool
	byGate  bool // of a pause or stop: a resume ends it
	leaving bool // of a removal: the service goes with it
	over    bool
	then    func()
}

// drain begins to empty pools, and calls then when that is done.
func (s *service) drain(d *drain, timeout time.Duration) {
	d.timeout = timeout
	for _, p := range d.pools {
		s.sever(p, ErrReplaced, tunnels)
	}
	waits := d.waits()
	if waits == 0 {
		s.drained(d)
		return
	}
	s.drains = append(s.drains, d)
	s.notify(d.asker, Progress{Stage: StageDraining, InFlight: waits, Elapsed: time.Since(d.since)})
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

// drainsFor reports whether an order's drain is under way.
func (s *service) drainsFor(a *Asker) bool {
	return a != nil && slices.ContainsFunc(s.drains, func(d *drain) bool { return d.asker == a })
}

func (d *drain) waits() int {
	n := 0
	for _, p := range d.pools {
		n += p.leases.count
	}
	if d.echo.waits() {
		n++
	}
	for _, o := range d.others {
		if o.echo.waits() {
			n++
		}
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
		p.cold = p.retired
		n += s.sever(p, ErrDrained, all)
	}
	if n > 0 {
		s.logCut(n)
	}
	s.notify(d.asker, Progress{Stage: StageCut, InFlight: n, Elapsed: time.Since(d.since)})
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
	s.notify(d.asker, Progress{Stage: StageDrained, Elapsed: time.Since(d.since)})
	d.then()
}

// tunnels and all choose the leases to cut off.
func tunnels(l *Lease) bool { return l.tunnel }
func all(*Lease) bool       { return true }

// sever cuts off the chosen leases of a pool, and returns how many it cut that
// were not cut before. They still say goodbye themselves.
func (s *service) sever(p *pool, why error, chosen func(*Lease) bool) int {
	n := 0
	for l := p.leases.first; l != nil; l = l.next {
		if !l.severed && chosen(l) {
			s.cutOff(l, why)
			n++
		}
	}
	return n
}

func (s *service) cutOff(l *Lease, why error) {
	l.severed = true
	if l.cut != nil {
		s.self.Protect(func() { l.cut(why) })
	}
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
