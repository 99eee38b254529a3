package service

import (
	"slices"

	"kamal-proxy/actors/spec"
	"kamal-proxy/actors/system"
)

// A panic may come between any two lines. What it has left half done is found
// by looking at what should be so: who has an order is answered, what was
// granted is carried out, a pool that nothing has goes, a drain has its timer.

// Mend implements system.Mender. Each step is for itself: one that panics, too,
// costs none of the others.
func (s *service) Mend(m Message) (answers bool) {
	for _, step := range []func(){
		s.payOff, s.carryOut, s.mendDeploy, s.mendPools, s.mendDrains, s.mendHeld,
		s.claim, s.nextDeploy, s.mendRemoval, s.payBack,
	} {
		s.self.Protect(step)
	}
	if s.concluding != 0 {
		s.conclude()
	}
	a := askerOf(m)
	return a != nil && !a.Answered() && s.holds(a)
}

// askerOf returns an order's asker, or nil of a message that is none, or is
// broken.
func askerOf(m Message) (a *Asker) {
	o, isOrder := m.(Order)
	if !isOrder || system.TicketOf(o).Asked == nil {
		return nil
	}
	return o.Asking()
}

// Rebuild implements system.Rebuilder: what it lives by is what is committed.
// Leases, drains and deploys stay, and nobody who waits is lost.
func (s *service) Rebuild() {
	if s.committed == nil {
		return
	}
	s.adopt(s.committed)
	if !s.removed {
		s.refillAll()
	}
	s.Mend(nil)
}

func (s *service) refillAll() {
	s.refill(Active, s.committed.ActiveTargets, s.committed.ActiveReaders)
	s.refill(Rollout, s.committed.RolloutTargets, s.committed.RolloutReaders)
}

// refill gives a slot the targets that its record names, if it has others, and
// begins anew with whose turn it is.
func (s *service) refill(slot Slot, writers, readers []string) {
	p := s.slots[slot]
	if p == nil || !slices.Equal(p.writers.names(), writers) || !slices.Equal(p.readers.names(), readers) {
		if len(writers) == 0 {
			return
		}
		s.slots[slot] = s.reopen(writers, readers)
		if p != nil {
			s.retire(p)
		}
		return
	}
	p.writers, p.readers = rotation{targets: p.writers.targets}, rotation{targets: p.readers.targets}
	s.serve(p)
}

func (r *rotation) names() []string {
	names := make([]string, len(r.targets))
	for i, t := range r.targets {
		names[i] = t.name
	}
	return names
}

// accept remembers an order until it is answered.
func (s *service) accept(a *Asker) {
	s.orders = slices.DeleteFunc(s.orders, (*Asker).Answered)
	s.orders = append(s.orders, a)
}

// holds reports whether an order is on its way.
func (s *service) holds(a *Asker) bool {
	has := func(d *deploy) bool { return d != nil && d.Asker == a }
	return has(s.deploying) || slices.ContainsFunc(s.queue, has) || s.drainsFor(a) || s.claims(a)
}

// claims reports whether an order's change is on its way to disk.
func (s *service) claims(a *Asker) bool {
	asked := func(c *commit) bool { return c.asker == a }
	return slices.ContainsFunc(s.commits, asked) || s.claimed != nil && asked(s.claimed.commit)
}

// payBack answers the orders that were lost on their way: what is on disk has
// happened.
func (s *service) payBack() {
	for _, a := range slices.Clone(s.orders) {
		switch {
		case a.Answered() || s.holds(a):
		case a.granted:
			a.done(nil)
		default:
			a.done(system.ErrCrashed)
		}
	}
}

// payOff answers the request whose verdict was not finished.
func (s *service) payOff() {
	r := s.owed
	if r == nil {
		return
	}
	s.owed = nil
	lease := r.verdict.Lease
	r.verdict, r.err = Verdict{}, system.ErrCrashed
	r.deliver()
	if lease != nil {
		s.finish(lease)
	}
}

// carryOut finishes what was granted, once more from the start.
func (s *service) carryOut() {
	if carryOut := s.granting; carryOut != nil {
		s.granting = nil
		carryOut()
	}
}

// mendDeploy lets the deploy under way go on, or ends it where it cannot.
func (s *service) mendDeploy() {
	d := s.deploying
	switch {
	case d == nil:
	case d.over:
		s.deploying = nil
	case d.granted: // and twice it could not be carried out
		s.endDeploy(d)
		s.refillAll()
	case d.claiming && !s.claims(d.Asker),
		!d.claiming && (d.pool == nil || !d.pool.checked):
		s.failDeploy(d, system.ErrCrashed)
	case !d.claiming && d.pool.healthy():
		s.commitDeploy(d)
	}
}

// mendPools lets those pools go that nothing has.
func (s *service) mendPools() {
	for _, p := range slices.Clone(s.pools) {
		switch {
		case slices.Contains(s.slots[:], p), s.deploying != nil && s.deploying.pool == p:
		default:
			s.retire(p)
			s.tidy(p)
		}
	}
}

// mendDrains ends those drains that have nothing to wait for, and sees to it
// that all others end.
func (s *service) mendDrains() {
	s.settle()
	for _, d := range slices.Clone(s.drains) {
		switch {
		case d.severed:
			system.After(s.self, severedGrace, Message(drainTimeout{d}))
		case d.timer == nil:
			d.timer = system.After(s.self, d.timeout, Message(drainTimeout{d}))
		}
	}
}

// mendHeld answers those that wait at a gate that is not closed.
func (s *service) mendHeld() {
	switch {
	case s.removed && !s.ending:
		s.release(func(r *Route) { r.Refuse(404) })
	case s.closing:
		s.release(func(r *Route) { s.refuse(r, retryAfter) })
	case s.gate.State == spec.Running:
		s.release(s.route)
	case s.gate.State == spec.Stopped:
		s.release(func(r *Route) { s.refuse(r, 0) })
	default:
		s.armSweep()
	}
}

// mendRemoval goes on with the end of the service.
func (s *service) mendRemoval() {
	left := 0
	for _, d := range s.drains {
		if d.leaving {
			left++
		}
	}
	switch {
	case s.left, !s.removed:
	case left > 0:
		s.leaving = left
	case s.ending, s.removal == nil, s.removal.Answered():
		s.gone()
	default:
		s.remove(s.removal)
	}
}
