package registry

import (
	"slices"

	"kamal-proxy/actors/service"
	"kamal-proxy/actors/system"
)

// Mend implements system.Mender: what a panic has left half done goes on.
func (r *registry) Mend(Message) (answers bool) {
	for _, e := range r.entries {
		if e.removing != nil && !e.changing && !r.removes(e) {
			e.removing = nil
			r.goOn(e)
		}
	}
	if r.outcome != nil {
		r.settleAll()
	}
	r.keep()
	r.finish()
	r.handedOver()
	return false
}

// removes reports whether a removal is on its way to disk.
func (r *registry) removes(e *entry) bool {
	of := func(c *change) bool { return c.entry == e && c.remove != nil }
	return slices.ContainsFunc(r.saving, of) || slices.ContainsFunc(r.pending, of)
}

// whole runs a step, and reports whether it came to its end.
func (r *registry) whole(step func()) (ended bool) {
	r.self.Protect(func() {
		step()
		ended = true
	})
	return ended
}

// attempt carries out one of several orders that waited, even if others are
// parked: a panic costs that one.
func (r *registry) attempt(m Message) {
	ticket := system.TicketOf(m)
	if !r.whole(func() {
		switch m := m.(type) {
		case Order:
			r.order(m)
		case Remove:
			r.remove(m)
		}
	}) {
		ticket.Fail(system.ErrCrashed)
	}
}

// claim answers a Claim that panics, too: its service waits for that.
func (r *registry) claim(c service.Claim) {
	if r.whole(func() { r.consider(c) }) {
		return
	}
	of := func(p *change) bool { return p.remove == nil && p.claim.Record == c.Record }
	e := r.byID[c.Service]
	if e == nil || slices.ContainsFunc(r.saving, of) {
		return
	}
	r.pending = slices.DeleteFunc(r.pending, of)
	e.changing = false
	r.reserved.take(e, &c.Record.Options)
	e.ref.Tell(service.Refused{Err: system.ErrCrashed})
}

// carryOut settles a change, once more if it panics; what was not told by then
// is refused.
func (r *registry) carryOut(c *change, err error) {
	settle := func() { r.settle(c, err) }
	if !r.whole(settle) && !r.whole(settle) && c.remove == nil && !c.told {
		c.entry.changing = false
		c.entry.ref.Tell(service.Refused{Err: system.ErrCrashed})
	}
}
