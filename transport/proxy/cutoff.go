package proxy

import (
	"context"
	"io"
	"sync"
	"time"

	"kamal-proxy/transport/crash"
	"kamal-proxy/transport/exchange"
	"kamal-proxy/transport/upstream"
)

// cutoff is a request's context, and the way in which a service ends the request
// before it ends by itself. It ends when the client has gone, or is cut; Err then
// says why, as context.Cause does. It is made anew for each request: a cut may
// come when the request is over, and must not meet another one then.
type cutoff struct {
	client context.Context // the exchange's

	mu       sync.Mutex
	cause    error         // why it has ended; nil: it has not, or nobody had to know
	done     chan struct{} // nil: nobody has asked for it
	unfollow func() bool   // nil: the client's end is not waited for
	call     upstream.Interrupter
	watches  []*watch

	upload io.Closer         // a body that is being read from the client, or nil
	writer exchange.Exchange // that is being written to, or nil
	spent  bool              // the target is done with the request

	hurried  bool      // another target can be asked
	deadline time.Time // of a request that was sent again; zero: there is none
}

const cutting = "Ending a request panicked"

// watch is a function given to AfterFunc.
type watch struct{ f func() } // nil: stopped, or run

var (
	_ context.Context    = (*cutoff)(nil)
	_ upstream.Watchable = (*cutoff)(nil)
	_ upstream.Hurried   = (*cutoff)(nil)
)

// cut ends the request, and wakes it where it waits for its client. It does
// not wait: a service calls it.
func (c *cutoff) cut(cause error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.spent {
		return
	}
	c.end(cause)
	if c.upload != nil {
		upload := c.upload
		crash.Go(cutting, func() { upload.Close() }) // which may wait for a Read under way
	}
	if c.writer != nil {
		c.writer.Abort()
	}
}

// stop ends the request's part with its target.
func (c *cutoff) stop(cause error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.end(cause)
}

// left is called when the client has gone.
func (c *cutoff) left() { c.stop(context.Canceled) }

// close ends it with the request, whatever it was.
func (c *cutoff) close() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.unfollow != nil {
		c.unfollow()
	}
	c.end(context.Canceled)
}

// end tells all that wait. The first cause counts.
func (c *cutoff) end(cause error) {
	if c.cause != nil {
		return
	}
	if gone := context.Cause(c.client); gone != nil {
		cause = gone
	}
	c.cause = cause
	if c.done != nil {
		close(c.done)
	}
	if c.call != nil {
		call := c.call
		crash.Go(cutting, func() { call.Interrupt(cause) })
		c.call = nil
	}
	for _, w := range c.watches {
		if w.f != nil {
			crash.Go(cutting, w.f)
			w.f = nil
		}
	}
}

// follow has the client's end end it.
func (c *cutoff) follow() {
	if c.unfollow != nil {
		return
	}
	if client, ok := c.client.(interface{ AfterFunc(func()) func() bool }); ok { // what context would use, at a price
		c.unfollow = client.AfterFunc(c.left)
	} else {
		c.unfollow = context.AfterFunc(c.client, c.left)
	}
}

// reading says that a client's body is being read; nil: not any more. What came
// before shows in the request's context.
func (c *cutoff) reading(body io.Reader) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.upload, _ = body.(io.Closer)
}

// writing says that a response is being written, while the target may have more
// of it. Its error is that of an end before.
func (c *cutoff) writing(x exchange.Exchange) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.writer = x
	return c.why()
}

// spend says that there is nothing to cut off any more. It may be called more
// than once.
func (c *cutoff) spend() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.spent = true
}

func (c *cutoff) why() error {
	if c.cause != nil {
		return c.cause
	}
	return context.Cause(c.client)
}

// Watch implements upstream.Watchable, as does Unwatch.
func (c *cutoff) Watch(call upstream.Interrupter) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.cause != nil {
		cause := c.cause
		crash.Go(cutting, func() { call.Interrupt(cause) })
		return
	}
	c.call = call
	c.follow()
}

func (c *cutoff) Unwatch() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	inTime := c.call != nil
	c.call = nil
	return inTime
}

// AfterFunc makes context.AfterFunc cost no goroutine.
func (c *cutoff) AfterFunc(f func()) (stop func() bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.cause != nil {
		crash.Go(cutting, f)
		return func() bool { return false }
	}
	w := &watch{f}
	c.watches = append(c.watches, w)
	c.follow()
	return func() bool {
		c.mu.Lock()
		defer c.mu.Unlock()
		inTime := w.f != nil
		w.f = nil
		return inTime
	}
}

// Done implements context.Context, as do all that follow.
func (c *cutoff) Done() <-chan struct{} {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.done == nil {
		c.done = make(chan struct{})
		if c.cause != nil {
			close(c.done)
		} else {
			c.follow()
		}
	}
	return c.done
}

func (c *cutoff) Err() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.why()
}

func (c *cutoff) Deadline() (time.Time, bool) { return c.deadline, !c.deadline.IsZero() }

// connectWithin is how long a target may take to accept a connection, where
// there is another one: a packet that was lost is sent again after a second.
const connectWithin = 2 * time.Second

// ConnectWithin implements upstream.Hurried.
func (c *cutoff) ConnectWithin() time.Duration {
	if c.hurried {
		return connectWithin
	}
	return 0
}

func (c *cutoff) Value(any) any { return nil }
