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
}

// claim decides on what a service wants to become, and has it saved.
func (r *registry) claim(c service.Claim) {
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
	r.saving, r.pending = r.pending, nil
	records := r.committed
	for _, c := range r.saving {
		records = records.with(c.entry.name, c.claim.Record)
	}
	r.sequence++
	r.store.Tell(store.Save{Sequence: r.sequence, Records: records})
}

// saved carries out what is on disk, or refuses what is not.
func (r *registry) saved(s store.Saved) {
	if s.Sequence != r.sequence {
		return
	}
	if s.Err != nil {
		r.config.Log.Error().Err(s.Err).Msg("Unable to save the state, so the orders that change it are refused")
	}
	for len(r.saving) > 0 {
		c := r.saving[0]
		r.saving = r.saving[1:]
		r.self.Protect(func() { r.settle(c, s.Err) }) // each for itself
	}
	r.saving = nil
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
		r.grant(e, &c.claim)
	}
	if e.removing != nil {
		r.save(&change{entry: e, remove: e.removing})
	}
}

// grant makes a saved change true. The service is told first, and the table
// changed in the same Receive: whatever was routed before is in the service's
// inbox before Granted.
func (r *registry) grant(e *entry, c *service.Claim) {
	echo := r.echo()
	e.ref.Tell(service.Granted{Echo: echo})
	r.adopt(e, c.Record, c.Assets)
	r.passOn(Following{e.name, c.What, c.Record, c.Assets, c.DrainTimeout}, e, echo)
}

// adopt routes to a service what its record says.
func (r *registry) adopt(e *entry, record *spec.Record, assets service.Assets) {
	if e.record != nil {
		r.table.take(e, &e.record.Options)
	}
	e.adopt(record, assets)
	r.table.put(e, &record.Options)
	r.committed = r.committed.with(e.name, record)
	r.config.Sites.Put(record, assets)
}

// remove begins to take a service away; a change of it that is being saved is
// let through first.
func (r *registry) remove(m Remove) {
	e := r.entries[m.Service]
	switch {
	case r.parks(m.Service, m.Asking, m):
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
	waiting := e.waiting
	e.waiting = nil
	if err != nil {
		c.remove.Answer(struct{}{}, notSaved(err))
	} else {
		r.drop(e, c.remove.Asker, c.remove.DrainTimeout)
		r.config.Log.Info().Str("service", e.name).Msg("Removed")
	}
	for _, m := range waiting {
		r.Receive(m)
	}
}

// drop takes a service's hosts away, and lets it drain.
func (r *registry) drop(e *entry, asker *service.Asker, timeout time.Duration) {
	echo := r.echo()
	e.ref.Tell(&service.Remove{Asker: asker, DrainTimeout: timeout, Echo: echo})
	r.table.take(e, &e.record.Options)
	r.config.Sites.Remove(e.name)
	r.committed = r.committed.with(e.name, nil)
	delete(r.entries, e.name)
	e.leaving = true
	r.passOn(Following{Service: e.name, What: service.Removed, DrainTimeout: timeout}, e, echo)
	r.conclude(e)
}

var errNotSaved = errors.New("nothing was changed, because the state could not be saved")

func notSaved(err error) error { return errors.Join(errNotSaved, err) }
