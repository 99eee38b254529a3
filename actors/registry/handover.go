package registry

import (
	"errors"
	"slices"

	"kamal-proxy/actors/service"
	"kamal-proxy/actors/store"
	"kamal-proxy/actors/system"
)

var (
	// ErrMoved answers the orders that waited for the end of a hand-over, and
	// all that come later: the successor takes them.
	ErrMoved = errors.New("another process has taken over; connect again and send the order once more")
	// ErrHandingOver answers a HandOver during another, or after it.
	ErrHandingOver = errors.New("a hand-over is under way already; wait until it has ended")
	// ErrTakenBack answers a HandOver that met a TakeBack.
	ErrTakenBack = errors.New("the hand-over was given up; nothing has changed")
)

// handover is how far a HandOver is.
//
//	(none) --HandOver--> concluding --nothing under way--> done --Yield--> moved
//	                     concluding, done --TakeBack--> (none)
type handover struct {
	asker  *system.Reply[store.Snapshot] // while it is concluding; else nil
	turn   uint64                        // of the last Conclude
	left   int                           // services that have not concluded
	parked []Message                     // orders that wait, in the order in which they came
	done   bool                          // the state file is the successor's
	moved  bool                          // and the orders are
}

// handOver parks what comes from now on, and ends what is under way.
func (r *registry) handOver(m HandOver) {
	switch {
	case r.closing:
		m.Answer(nil, service.ErrShutdown)
		return
	case r.handover.asker != nil || r.handover.done:
		m.Answer(nil, ErrHandingOver)
		return
	}
	r.handover.asker = m.Reply
	for _, e := range r.byID {
		r.conclude(e)
	}
	r.handedOver()
}

// conclude asks a service to tell when nothing is under way.
func (r *registry) conclude(e *entry) {
	h := &r.handover
	if h.asker == nil {
		return
	}
	if e.turn == 0 {
		h.left++
	}
	h.turn++
	e.turn = h.turn
	e.ref.Tell(service.Conclude{Turn: h.turn})
}

func (r *registry) idle(m service.Idle) {
	if e := r.byID[m.Service]; e != nil && e.turn == m.Turn {
		r.concluded(e)
	}
}

func (r *registry) concluded(e *entry) {
	if e.turn != 0 {
		e.turn = 0
		r.handover.left--
		r.handedOver()
	}
}

// handedOver answers the HandOver when nothing is under way any more.
func (r *registry) handedOver() {
	h := &r.handover
	if h.asker == nil || h.left > 0 || r.saving != nil || len(r.pending) > 0 {
		return
	}
	h.done = true
	h.asker.Answer(r.committed, nil)
	h.asker = nil
}

// parks reports whether an order is not to be carried out now, but waits, which
// its asker is told, or is answered. A resume goes through while others end: the
// drain of a pause, which it ends, would hold up all of them.
func (r *registry) parks(name string, asking func() *service.Asker, m Message) bool {
	h := &r.handover
	switch {
	case h.moved:
		asking().Answer(struct{}{}, ErrMoved)
		return true
	case r.closing || h.asker == nil && !h.done:
		return false
	case h.asker != nil && isResume(m) && !slices.ContainsFunc(h.parked, func(m Message) bool { return addressee(m) == name }):
		return false
	}
	h.parked = append(h.parked, m)
	r.self.Protect(func() {
		if asker := asking(); asker.Notify != nil {
			asker.Notify(service.Progress{Stage: service.StageParked})
		}
	})
	return true
}

func isResume(m Message) bool {
	o, isOrder := m.(Order)
	if !isOrder {
		return false
	}
	_, is := o.Order.(*service.Resume)
	return is
}

// addressee is the service that a parked order is for.
func addressee(m Message) string {
	if o, isOrder := m.(Order); isOrder {
		return o.Service
	}
	return m.(Remove).Service
}

// unpark answers what waits with err, or, if it is nil, carries it out.
func (r *registry) unpark(err error) {
	parked := r.handover.parked
	r.handover.parked = nil
	for _, m := range parked {
		if err == nil {
			r.attempt(m)
		} else {
			system.TicketOf(m).Fail(err)
		}
	}
}

func (r *registry) takeBack() {
	h := &r.handover
	if h.moved {
		return
	}
	if h.asker != nil {
		h.asker.Answer(nil, ErrTakenBack)
	}
	for _, e := range r.byID {
		e.turn = 0
	}
	h.asker, h.left, h.done = nil, 0, false
	r.unpark(nil)
}

func (r *registry) yield() {
	if r.handover.done {
		r.handover.moved = true
		r.unpark(ErrMoved)
	}
}

// abandon ends a hand-over that meets the end of the proxy.
func (r *registry) abandon() {
	if h := &r.handover; h.asker != nil {
		h.asker.Answer(nil, service.ErrShutdown)
		h.asker = nil
	}
	r.unpark(service.ErrShutdown)
}
