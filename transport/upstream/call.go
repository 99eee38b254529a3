package upstream

import (
	"context"
	"errors"
	"io"
	"sync"
	"sync/atomic"
	"time"

	"kamal-proxy/transport/exchange"
)

// call is one request on its way, and the response that it got. It is used
// once. The caller's goroutine runs all of it but send.go's pump, and stop,
// which ctx's end runs.
type call struct {
	target   *Target
	ctx      context.Context
	request  *exchange.Request
	interim  func(int, exchange.Header) error
	response exchange.Response
	out      outgoing
	answered bool // something of a response was read
	done     bool // the caller has the response
	early    bool // the final head came before all of the request had been received: who knows what will be read of it
	closed   atomic.Bool
	watched  bool
	unwatch  func() bool   // where ctx is not Watchable
	pumped   chan struct{} // closed when the pump has ended; nil: there is none

	mu      sync.Mutex
	conn    *conn // nil before the first connection
	ended   error // why the call was cut off, or nil
	reading bool  // a Read of the request's Body is under way
	headIn  bool  // the final head has come: no time limit from now on
	sent    bool  // the request has gone out to its end
	broken  bool  // writing the request failed

	refilled  bool // the buffer has another part than the first: only a rewinder can send it again
	repeating bool // the request is about to be sent on another connection
}

// watch makes the end of ctx cut the call off.
func (x *call) watch() {
	if w, ok := x.ctx.(Watchable); ok {
		x.watched = true
		w.Watch(x)
	} else if x.ctx.Done() != nil {
		x.watched = true
		x.unwatch = context.AfterFunc(x.ctx, func() { x.stop(context.Cause(x.ctx)) })
	}
}

// unwatched ends watching; false says that the call was, or is being, cut off.
func (x *call) unwatched() bool {
	watched := x.watched
	x.watched = false
	switch {
	case !watched:
		return true
	case x.unwatch != nil:
		return x.unwatch()
	default:
		return x.ctx.(Watchable).Unwatch()
	}
}

// Interrupt implements Interrupter.
func (x *call) Interrupt(cause error) { x.stop(cause) }

var longAgo = time.Unix(1, 0)

// stop cuts the call off: reads and writes under way fail. The first reason
// counts.
func (x *call) stop(reason error) {
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.ended == nil {
		x.ended = reason
	}
	if x.conn != nil {
		x.conn.setDeadline(longAgo)
	}
	if !x.reading { // then the request may be another one's by now
		return
	}
	if body, ok := x.request.Body.(io.Closer); ok {
		body.Close()
	}
}

func (x *call) reason() error {
	x.mu.Lock()
	defer x.mu.Unlock()
	return x.ended
}

// use makes c the call's connection, with its time limit, unless the call was
// cut off in the meantime.
func (x *call) use(c *conn, deadline time.Time) error {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.conn, x.sent, x.broken, x.repeating = c, false, false, false
	c.before = c.written
	if x.ended == nil {
		c.setAbout(deadline, min(x.target.options.ResponseTimeout/32, time.Second))
	}
	return x.ended
}

// limit moves the time limit, while the final head has not come.
func (x *call) limit(deadline time.Time) {
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.ended == nil && !x.headIn && !x.repeating {
		x.conn.setDeadline(deadline)
	}
}

// deadline is the time limit, if it began now.
func (x *call) deadline() time.Time {
	if x.target.options.ResponseTimeout <= 0 {
		return time.Time{}
	}
	return time.Now().Add(x.target.options.ResponseTimeout)
}

// do is the whole of Send, once more if the first connection turns out dead.
func (x *call) do() error {
	if err := x.prepare(); err != nil {
		return err
	}
	deadline := x.deadline()
	if h, ok := x.ctx.(Hurried); ok {
		if until, has := h.Deadline(); has {
			deadline = until
		}
	}
	if c := x.target.take(); c != nil {
		err := x.try(c, deadline)
		if err == nil || !x.mayRepeat(err) {
			return x.explain(err)
		}
		c.close()
		if err := x.again(); err != nil {
			return err
		}
	}
	c, err := x.target.dial(x.ctx, deadline)
	if err != nil {
		return x.undone(err, errors.Is(err, ErrUnreachable) && x.inHand(), true, deadline)
	}
	err = x.try(c, deadline)
	if err == nil {
		return nil
	}
	repeatable := x.mayRepeat(err)
	return x.undone(x.explain(err), repeatable, repeatable && !idempotent(x.request.Method), deadline)
}

// undone makes an error of Send from err where the request can be sent again,
// and its body ready for that.
func (x *call) undone(err error, repeatable, unsent bool, deadline time.Time) error {
	if !repeatable {
		return err
	}
	if body := x.rewinder(); body != nil {
		body.Rewind()
	} else if len(x.out.part) > 0 {
		x.request.Body = newReplay(x.out.part, x.request.Body)
	}
	return &UnansweredError{Err: err, Unsent: unsent, Deadline: deadline}
}

// try sends the request on c and reads the response's head.
func (x *call) try(c *conn, deadline time.Time) error {
	if err := x.use(c, deadline); err != nil {
		return err
	}
	x.begin()
	return x.receive()
}

// abandonUnanswered ends a call that got no response, be it by a panic of its
// caller's.
func (x *call) abandonUnanswered() {
	if x.done {
		return
	}
	x.unwatched()
	x.halt()
	if x.conn != nil {
		x.conn.close()
	}
	x.out.free()
}
