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
	ended    atomic.Bool   // read by each Tell, where a channel would cost a cache line more
	stopped  chan struct{} // closed then
}

// nobodyStopped is what the zero Ref's Stopped returns.
var nobodyStopped = func() chan struct{} { c := make(chan struct{}); close(c); return c }()

// Tell puts m into the actor's inbox and returns at once. What one sender
// tells arrives in order. What is told to an actor that has stopped, or has no
// time left before it does, is dropped, and a question in it fails with
// ErrStopped.
func (r Ref[M]) Tell(m M) {
	if r.cell != nil {
		r.tell(m)
	}
}

// tell sends m. Actors tell each other on a stack that has just begun, of 2 KiB,
// and growing it would cost more than the message: frames are few and small
// here, and what the library does for other machines is passed by.
func (c *cell) tell(m any) {
	asked := TicketOf(m) // first: once it is sent, m may be answered and used again
	if !c.ended.Load() {
		c.system.engine.SendLocal(c.pid, m, nil)
	}
	if c.stopping.Load() && asked.Asked != nil {
		c.failWhenStopped(asked)
	}
}

// failWhenStopped fails a question that came while the actor was ending, unless
// it is still answered: the library drops what it finds no time for. A question
// that was in the inbox before the stop needs none of this.
func (c *cell) failWhenStopped(asked Ticket) {
	if c.ended.Load() {
		asked.Fail(ErrStopped)
		return
	}
	go func() {
		<-c.stopped
		asked.Fail(ErrStopped)
	}()
}

// Stop ends the actor once its inbox is empty. It returns at once and may be
// called often, also by the actor itself; wait on Stopped where that is needed.
func (r Ref[M]) Stop() {
	if r.cell != nil && r.stopping.CompareAndSwap(false, true) {
		r.system.engine.Poison(r.pid)
	}
}

// Stopped is closed when the actor has handled its last message.
func (r Ref[M]) Stopped() <-chan struct{} {
	if r.cell == nil {
		return nobodyStopped
	}
	return r.stopped
}

// Protect is System.Protect for a step of this actor.
func (r Ref[M]) Protect(step func()) { r.system.Protect(r.pid.ID, step) }

// String names the actor in logs: its kind and number.
func (r Ref[M]) String() string {
	if r.cell == nil {
		return "nobody"
	}
	return r.pid.ID
}
