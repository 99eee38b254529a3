package registry

import (
	"errors"
	"time"

	"kamal-proxy/actors/service"
	"kamal-proxy/actors/spec"
	"kamal-proxy/actors/store"
)

// change is one service's change on its way to disk: a Claim, or, without a
// record, its removal.
type change struct {
	entry  *entry
	claim  service.Claim
	remove *Remove
	told   bool // the service knows
}

// consider decides on what a service wants to become, and has it saved.
func (r *registry) consider(c service.Claim) {
	e := r.byID[c.Service]
	switch {
	case e == nil || e.leaving:
		return // its Remove is in its inbox
	case e.removing != nil:
		e.ref.Tell(service.Refused{Err: service.ErrRemoved})
		return
	case r.closing:
		e.ref.Tell(service.Refused{Err: service.ErrShutdown})
		return
	case r.handover.done:
		e.ref.Tell(service.Refused{Err: ErrMoved})
		return
	}
	if err := r.gains(e, &c.Record.Options); err != nil {
		e.ref.Tell(service.Refused{Err: err})
		return
	}
	e.changing = true
	r.reserved.put(e, &c.Record.Options)
	r.save(&change{entry: e, claim: c})
}

func (r *registry) save(c *change) {
	r.pending = append(r.pending, c)
	r.keep()
}

// keep gives the store what is pending. One save is under way at a time, and
// what comes meanwhile goes with the next: so what a save that fails refuses is
// in no other, and the disk is at what is committed.
func (r *registry) keep() {
	if r.saving != nil || len(r.pending) == 0 {
		return
	}
	records := r.committed
	for _, c := range r.pending {
		records = records.with(c.entry.name, c.claim.Record)
	}
	r.sequence++
	r.store.Tell(store.Save{Sequence: r.sequence, Records: records})
	r.saving, r.pending = r.pending, nil
}

// saved carries out what is on disk, or refuses what is not.
func (r *registry) saved(s store.Saved) {
	if s.Sequence != r.sequence {
		return
	}
	r.outcome = &s
	if s.Err != nil {
		r.config.Log.Error().Err(s.Err).Msg("Unable to save the state, so the orders that change it are refused")
	}
	r.settleAll()
}

func (r *registry) settleAll() {
	for len(r.saving) > 0 {
		c := r.saving[0]
		r.saving = r.saving[1:]
		r.carryOut(c, r.outcome.Err)
	}
	r.saving, r.outcome = nil, nil
	r.keep()
	r.finish()
	r.handedOver()
}

func (r *registry) settle(c *change, err error) {
	if c.remove != nil {
		r.removed(c, err)
		return
	}
	e := c.entry
	e.changing = false
	r.reserved.take(e, &c.claim.Record.Options)
	if err != nil {
		e.ref.Tell(service.Refused{Err: notSaved(err)})
	} else {
		r.grant(e, c)
	}
	if e.removing != nil {
		r.save(&change{entry: e, remove: e.removing})
	}
}

// grant makes a saved change true. The service is told first, and the table
// changed in the same Receive: whatever was routed before is in the service's
// inbox before Granted. Handshakes do not ask here: they see the change before
// the service, which may answer at once whoever ordered it.
func (r *registry) grant(e *entry, c *change) {
	r.show(c.claim.Record, c.claim.Assets)
	if !c.told {
		c.told = true
		echo := r.echo()
		e.ref.Tell(service.Granted{Echo: echo})
		r.passOn(Following{e.name, c.claim.What, c.claim.Record, c.claim.Assets, c.claim.DrainTimeout}, e, echo)
	}
	r.adopt(e, c.claim.Record, c.claim.Assets)
}

// adopt routes to a service what its record says.
func (r *registry) adopt(e *entry, record *spec.Record, assets service.Assets) {
	if e.record != nil {
		r.table.take(e, &e.record.Options)
	}
	e.adopt(record, assets)
	r.table.put(e, &record.Options)
	r.committed = r.committed.with(e.name, record)
}

// show has handshakes see what a record says. It comes before a service is told.
func (r *registry) show(record *spec.Record, assets service.Assets) {
	r.self.Protect(func() { r.config.Sites.Put(record, assets) })
}

// remove begins to take a service away; a change of it that is being saved is
// let through first.
func (r *registry) remove(m Remove) {
	e := r.entries[m.Service]
	switch {
	case r.closing:
		m.Answer(struct{}{}, service.ErrShutdown)
	case e == nil || e.record == nil:
		m.Answer(struct{}{}, ErrNotFound)
	case e.removing != nil:
		e.waiting = append(e.waiting, m)
	default:
		e.removing = &m
		if !e.changing {
			r.save(&change{entry: e, remove: &m})
		}
	}
}

func (r *registry) removed(c *change, err error) {
	e := c.entry
	e.removing = nil
	if err != nil {
		c.remove.Answer(struct{}{}, notSaved(err))
	} else {
		r.drop(e, c.remove.Asker, c.remove.DrainTimeout)
		r.config.Log.Info().Str("service", e.name).Msg("Removed")
	}
	r.goOn(e)
}

// goOn carries out the orders that waited for a removal.
func (r *registry) goOn(e *entry) {
	waiting := e.waiting
	e.waiting = nil
	for _, m := range waiting {
		r.attempt(m)
	}
}

// drop takes a service's hosts away, and lets it drain.
func (r *registry) drop(e *entry, asker *service.Asker, timeout time.Duration) {
	r.self.Protect(func() { r.config.Sites.Remove(e.name) })
	if !e.leaving {
		e.leaving = true
		echo := r.echo()
		e.ref.Tell(&service.Remove{Asker: asker, DrainTimeout: timeout, Echo: echo})
		r.passOn(Following{Service: e.name, What: service.Removed, DrainTimeout: timeout}, e, echo)
		r.conclude(e)
	}
	r.table.take(e, &e.record.Options)
	r.committed = r.committed.with(e.name, nil)
	delete(r.entries, e.name)
}

var errNotSaved = errors.New("nothing was changed, because the state could not be saved")

func notSaved(err error) error { return errors.Join(errNotSaved, err) }
