package registry

import (
	"errors"

	"kamal-proxy/actors/service"
	"kamal-proxy/actors/spec"
	"kamal-proxy/actors/store"
)

// change is one service's change on its way to disk: a Claim, or, without a
// record, its removal.
type change struct {
	entry  *entry
	record *spec.Record
	assets service.Assets
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
	}
	if err := r.gains(e, &c.Record.Options); err != nil {
		e.ref.Tell(service.Refused{Err: err})
		return
	}
	e.changing = true
	r.reserved.put(e, &c.Record.Options)
	r.save(&change{entry: e, record: c.Record, assets: c.Assets})
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
		records = records.with(c.entry.name, c.record)
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
}

func (r *registry) settle(c *change, err error) {
	if c.record == nil {
		r.removed(c, err)
		return
	}
	e := c.entry
	e.changing = false
	r.reserved.take(e, &c.record.Options)
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
// inbox before Granted.
func (r *registry) grant(e *entry, c *change) {
	e.ref.Tell(service.Granted{})
	if e.record != nil {
		r.table.take(e, &e.record.Options)
	}
	e.adopt(c.record)
	r.table.put(e, &c.record.Options)
	r.committed = r.committed.with(e.name, c.record)
	r.config.Sites.Put(c.record, c.assets)
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
	waiting := e.waiting
	e.waiting = nil
	if err != nil {
		c.remove.Answer(struct{}{}, notSaved(err))
	} else {
		e.ref.Tell(&service.Remove{Asker: c.remove.Asker, DrainTimeout: c.remove.DrainTimeout})
		r.table.take(e, &e.record.Options)
		r.config.Sites.Remove(e.name)
		r.committed = r.committed.with(e.name, nil)
		delete(r.entries, e.name)
		e.leaving = true
		r.config.Log.Info().Str("service", e.name).Msg("Removed")
	}
	for _, m := range waiting {
		r.Receive(m)
	}
}

var errNotSaved = errors.New("nothing was changed, because the state could not be saved")

func notSaved(err error) error { return errors.Join(errNotSaved, err) }
