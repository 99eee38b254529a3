package system

import (
	"sync/atomic"

	"github.com/anthdm/hollywood/actor"
)

// Ref is the address of an actor that takes messages of type M. The zero Ref
// is nobody's: what it is told is dropped. Refs of one actor are equal.
type Ref[M any] struct{ *cell }

// cell is what all Refs of one actor share.
type cell struct {
	system   *System
	pid      *actor.PID
	stopping atomic.Bool
	stopped  chan struct{}
}

func closing() chan struct{} { return make(chan struct{}) }

// Tell puts m into the actor's inbox and returns at once. What one sender
// tells arrives in order. What is told to an actor that has stopped is
// dropped, and a question in it fails with ErrStopped.
func (r Ref[M]) Tell(m M) {
	if r.cell == nil {
		return
	}
	select {
	case <-r.stopped:
		ticketOf(m).fail(ErrStopped)
	default:
		r.system.engine.Send(r.pid, m)
	}
}

// Stop ends the actor once its inbox is empty. It returns at once and may be
// called often, also by the actor itself; wait on Stopped where that is needed.
func (r Ref[M]) Stop() {
	if r.cell != nil && r.stopping.CompareAndSwap(false, true) {
		r.system.engine.Poison(r.pid)
	}
}

// Stopped is closed when the actor has handled its last message.
func (r Ref[M]) Stopped() <-chan struct{} { return r.stopped }

// String names the actor in logs: its kind and number.
func (r Ref[M]) String() string {
	if r.cell == nil {
		return "nobody"
	}
	return r.pid.ID
}
