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
	Sticky  string // the cookie kamal-sticky

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
	// answered, writes the answer here, delivers it, and never touches the
	// Route again.
	state    atomic.Uint64
	verdict  Verdict
	err      error
	answered chan struct{}

	to       Ref       // the service it was forwarded to; the registry's
	deadline time.Time // of a held one; the service's

	// Of a request that is to be sent again: its lease, and how it failed.
	failed  *Lease
	failure string
	unsent  bool
}

const (
	pending = iota
	won
	abandoned
	stateBits = 2
)

var routes = sync.Pool{New: func() any { return &Route{answered: make(chan struct{}, 1)} }}

// NewRoute returns an empty question.
func NewRoute() *Route { return routes.Get().(*Route) }

// Ticket implements system.Question.
func (r *Route) Ticket() system.Ticket {
	return system.Ticket{Asked: r, Turn: r.state.Load() >> stateBits}
}

// Fail implements system.Asked.
func (r *Route) Fail(turn uint64, err error) {
	if r.state.CompareAndSwap(turn<<stateBits|pending, turn<<stateBits|won) {
		r.err = err
		r.deliver()
	}
}

// Answer gives the verdict, and reports whether it was the first and the asker
// is still there.
func (r *Route) Answer(v Verdict) bool {
	if !r.win() {
		return false
	}
	r.verdict = v
	r.deliver()
	return true
}

// Refuse answers with a status and the page of no service.
func (r *Route) Refuse(status int) {
	if r.win() {
		r.verdict.Action, r.verdict.Status = Respond, status
		r.deliver()
	}
}

// win takes the right to answer, unless the asker has left or there is an
// answer: then nothing may be granted. Who wins fills in the verdict, which is
// empty, and delivers it.
func (r *Route) win() bool {
	turn := r.state.Load() >> stateBits
	return r.state.CompareAndSwap(turn<<stateBits|pending, turn<<stateBits|won)
}

// deliver is the last that who has won does with the Route.
func (r *Route) deliver() { r.answered <- struct{}{} }

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
	case <-r.answered:
		return r.release()
	case <-ctx.Done():
	}
	turn := r.state.Load() >> stateBits
	if r.state.CompareAndSwap(turn<<stateBits|pending, turn<<stateBits|abandoned) {
		leave(r)
		return Verdict{}, context.Cause(ctx)
	}
	<-r.answered
	return r.release()
}

func (r *Route) release() (Verdict, error) {
	v, err := r.verdict, r.err
	r.renew()
	routes.Put(r)
	return v, err
}

// renew makes the Route an empty question of the next turn.
func (r *Route) renew() {
	turn := r.state.Load() >> stateBits
	r.Facts, r.Cut, r.verdict, r.err, r.to = Facts{}, nil, Verdict{}, nil, Ref{}
	r.failed, r.failure, r.unsent = nil, "", false
	r.state.Store((turn+1)<<stateBits | pending)
}
