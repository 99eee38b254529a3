package system

import (
	"context"
	"sync/atomic"
)

// Question is a message somebody waits for an answer to. The guard fails it
// when its handling panics, Tell when nobody is there to handle it.
type Question interface {
	Ticket() Ticket
}

// Ticket is the right to fail one question, taken while it was in hand. It is
// harmless once the question has been answered, even if the message has been
// used for another question since.
type Ticket struct {
	Asked Asked
	Turn  uint64
}

// Asked is what a Ticket refers to. Fail answers with err if turn is still
// the current one and nobody has answered it.
type Asked interface {
	Fail(turn uint64, err error)
}

// Fail answers the question with err, unless it has been answered.
func (t Ticket) Fail(err error) {
	if t.Asked != nil {
		t.Asked.Fail(t.Turn, err)
	}
}

// TicketOf returns m's ticket, or none if m is no question, or a broken one.
func TicketOf(m any) (t Ticket) {
	q, ok := m.(Question)
	if !ok {
		return Ticket{}
	}
	defer func() {
		if recover() != nil {
			t = Ticket{}
		}
	}()
	return q.Ticket()
}

// Reply is where the one answer to an order goes. The first answer wins, all
// others are dropped, and none of them waits. It is made by NewReply and
// travels in the message; the asker calls Wait.
type Reply[T any] struct {
	answered atomic.Bool
	answer   chan answer[T]
}

type answer[T any] struct {
	value T
	err   error
}

// NewReply makes a Reply that nobody has answered.
func NewReply[T any]() *Reply[T] {
	return &Reply[T]{answer: make(chan answer[T], 1)}
}

// Answer gives the answer and reports whether it was the first.
func (r *Reply[T]) Answer(value T, err error) bool {
	if r == nil || !r.answered.CompareAndSwap(false, true) {
		return false
	}
	r.answer <- answer[T]{value, err}
	return true
}

// Answered reports whether the answer was given.
func (r *Reply[T]) Answered() bool { return r == nil || r.answered.Load() }

// Ticket makes a message that embeds *Reply a Question.
func (r *Reply[T]) Ticket() Ticket {
	if r == nil {
		return Ticket{}
	}
	return Ticket{Asked: r}
}

// Fail implements Asked. A Reply is used once, so it has one turn.
func (r *Reply[T]) Fail(_ uint64, err error) {
	var none T
	r.Answer(none, err)
}

// Wait returns the answer, or ctx's error if that ends first, or ErrStopped
// once stopped is closed. Leaving early undoes nothing of what was asked for.
func (r *Reply[T]) Wait(ctx context.Context, stopped <-chan struct{}) (T, error) {
	select {
	case a := <-r.answer:
		return a.value, a.err
	default:
	}
	var none T
	select {
	case a := <-r.answer:
		return a.value, a.err
	case <-ctx.Done():
		return none, context.Cause(ctx)
	case <-stopped:
	}
	select { // it may have been answered just before the actor stopped
	case a := <-r.answer:
		return a.value, a.err
	default:
		return none, ErrStopped
	}
}
