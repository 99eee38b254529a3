package registry

import (
	"errors"

	"kamal-proxy/actors/service"
)

// Predecessor is the process that this one has taken over from. It still has
// requests under way, and new ones on connections that it had.
type Predecessor interface {
	// Follow passes on what was committed; it must not wait, and is called in
	// the order of the commits. done is to be called, on any goroutine, when
	// nothing is left there of what the order ended, or nobody.
	Follow(f Following, done func())
}

var errNotFollowing = errors.New("this process has not handed over, so it follows no other")

// echo returns what a drain is to wait for in the process before this one.
func (r *registry) echo() *service.Echo {
	if r.config.Predecessor == nil {
		return nil
	}
	return &service.Echo{}
}

// passOn tells the process before this one what was committed. It comes after
// the message to the service with the echo in it.
func (r *registry) passOn(f Following, e *entry, echo *service.Echo) {
	if echo != nil {
		r.pass(f, func() { e.ref.Tell(service.Echoed{Echo: echo}) })
	}
}

func (r *registry) pass(f Following, done func()) {
	if r.config.Predecessor == nil {
		done()
		return
	}
	passed := false
	r.self.Protect(func() {
		r.config.Predecessor.Follow(f, done)
		passed = true
	})
	if !passed {
		done()
	}
}

// follow becomes what the successor has committed, as grant and removed do with
// what was committed here.
func (r *registry) follow(m Follow) {
	e := r.entries[m.Service]
	switch {
	case !r.handover.done:
		m.Answer(struct{}{}, errNotFollowing)
		return
	case r.ended:
		m.Answer(struct{}{}, service.ErrShutdown)
		return
	case m.Record == nil && e == nil:
		r.pass(m.Following, func() { m.Answer(struct{}{}, nil) })
		return
	}
	asker := &service.Asker{Reply: m.Reply}
	if m.Record == nil {
		r.drop(e, asker, m.DrainTimeout)
		return
	}
	if e == nil {
		e = r.spawn(m.Service)
	}
	assets := m.Assets
	if e.record != nil && m.What != service.Deployed {
		assets = e.assets
	}
	r.show(m.Record, assets)
	echo := r.echo()
	e.ref.Tell(&service.Follow{Asker: asker, What: m.What, Record: m.Record, Assets: assets, DrainTimeout: m.DrainTimeout, Echo: echo})
	r.adopt(e, m.Record, assets)
	r.passOn(m.Following, e, echo)
}
