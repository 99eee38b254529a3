package service

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"kamal-proxy/actors/system"
)

// Facts are what a service needs to know of a request to decide on it. The
// strings must be copies that outlive the connection's buffers: an abandoned
// Route may be looked at after its connection is gone.
type Facts struct {
	Host    string // as in spec.NormalizeHost; filled in by the asker
	Path    string // as it came, not decoded
	Method  string
	TLS     bool
	Upgrade bool
	Writer  string // the cookie kamal-writer
	Rollout string // the cookie kamal-rollout

	// Prefix is the path prefix by which the request was routed, and Settings
	// are the TLS settings in force; the registry fills them in.
	Prefix   string
	Settings *Settings
}

// Settings are the TLS settings in force for a route: the service's own, or,
// below a path, those of its host's root service.
type Settings struct {
	Enabled       bool
	Redirect      bool
	CanonicalHost string
}

// Route is a request's question: where to? It is asked of the registry, which
// forwards it to a service. NewRoute takes it from a pool, Ask returns its
// answer and gives it back.
type Route struct {
	Facts

	// Cut is called, from the service's goroutine, to end the request before
	// it ends by itself; it must not wait. It may still come until the service
	// has heard the request's goodbye.
	Cut func(error)

	// state is turn<<2 | pending, answered or abandoned. Whoever answers, be
	// it a lease, a refusal or a guard's error, first wins pending ->
	// answered and never touches the Route again.
	state  atomic.Uint64
	answer chan Verdict
	err    error

	to       Ref       // the service it was forwarded to; the registry's
	deadline time.Time // of a held one; the service's
}

const (
	pending = iota
	answered
	abandoned
	stateBits = 2
)

var routes = sync.Pool{New: func() any { return &Route{answer: make(chan Verdict, 1)} }}

// NewRoute returns an empty question.
func NewRoute() *Route { return routes.Get().(*Route) }

// Ticket implements system.Question.
func (r *Route) Ticket() system.Ticket {
	return system.Ticket{Asked: r, Turn: r.state.Load() >> stateBits}
}

// Fail implements system.Asked.
func (r *Route) Fail(turn uint64, err error) {
	if r.state.CompareAndSwap(turn<<stateBits|pending, turn<<stateBits|answered) {
		r.err = err
		r.answer <- Verdict{}
	}
}

// Answer gives the verdict, unless the asker has left: then the caller must
// take back what it granted.
func (r *Route) Answer(v Verdict) bool {
	turn := r.state.Load() >> stateBits
	if !r.state.CompareAndSwap(turn<<stateBits|pending, turn<<stateBits|answered) {
		return false
	}
	r.answer <- v
	return true
}

// Forward sends the question on to a service. The registry calls it, as the
// last thing it does with a Route.
func (r *Route) Forward(to Ref) {
	r.to = to
	to.Tell(r)
}

// Left tells the service that the asker has abandoned the Route. The registry
// calls it.
func (r *Route) Left() { r.to.Tell(Leave{r}) }

// Await waits for the answer and gives the Route back to its pool: it must not
// be used afterwards. If ctx ends first, the Route is abandoned, leave is
// called with it, to take it out of a queue, and the error is ctx's.
func (r *Route) Await(ctx context.Context, leave func(*Route)) (Verdict, error) {
	select {
	case v := <-r.answer:
		return r.release(v)
	case <-ctx.Done():
	}
	turn := r.state.Load() >> stateBits
	if r.state.CompareAndSwap(turn<<stateBits|pending, turn<<stateBits|abandoned) {
		leave(r)
		return Verdict{}, context.Cause(ctx)
	}
	return r.release(<-r.answer)
}

func (r *Route) release(v Verdict) (Verdict, error) {
	err := r.err
	turn := r.state.Load() >> stateBits
	r.Facts, r.Cut, r.err, r.to = Facts{}, nil, nil, Ref{}
	r.state.Store((turn+1)<<stateBits | pending)
	routes.Put(r)
	return v, err
}
