package upstream

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"kamal-proxy/transport/exchange"
	"kamal-proxy/transport/http1"
	"kamal-proxy/transport/socket"
)

const (
	maxInterim   = 100         // 1xx responses to one request
	continueWait = time.Second // for 100 Continue, then the body is sent without (RFC 9110, section 10.1.1)
)

// receive reads up to the final response's head.
func (x *call) receive() error {
	reader, res := x.conn.reader, &x.response
	res.Header = x.conn.header
	holding := x.out.expects && !x.broken
	var until time.Time
	if holding {
		until = time.Now().Add(continueWait)
	}
	for range maxInterim {
		if holding && !x.awaitWord(until) {
			holding = false
			x.startPump(len(x.out.data))
		}
		if err := reader.ReadResponse(x.request.Method, res); err != nil {
			return err
		}
		x.answered = true
		if res.Status >= 200 || res.Status == 101 {
			return x.accept()
		}
		if holding && res.Status == 100 {
			holding = false
			x.startPump(len(x.out.data))
		}
		if x.interim != nil {
			if err := x.interim(res.Status, res.Header); err != nil {
				x.stop(err)
				return err
			}
		}
	}
	return fmt.Errorf("%w: more than %d interim responses", http1.ErrMalformedResponse, maxInterim)
}

// awaitWord waits for the target's answer to Expect, and reports whether
// something came before the given time. Where the call was cut off, or its own
// time is up, what comes next will tell.
func (x *call) awaitWord(until time.Time) bool {
	deadline := x.deadline()
	if !deadline.IsZero() && deadline.Before(until) {
		return true
	}
	x.limit(until)
	err := x.conn.awaitInput()
	x.limit(deadline)
	return err == nil || x.reason() != nil || !isTimeout(err)
}

// accept takes over the final response.
func (x *call) accept() error {
	res, c := &x.response, x.conn
	c.header = res.Header[:0]
	if res.Status == 101 {
		return x.acceptTunnel()
	}
	// The kernel may have taken more in one write than the target will ever read.
	long := x.pumped != nil || c.written-c.before > partSize
	x.early = long && !c.received()
	x.mu.Lock()
	x.headIn = true
	if x.ended == nil && !c.reader.Body().Here() {
		c.setDeadline(time.Time{})
	}
	ended := x.ended
	x.mu.Unlock()
	res.Body, res.Close = x, x.Close
	return ended
}

// acceptTunnel takes over the connection of a response that switches
// protocols.
func (x *call) acceptTunnel() error {
	res, c := &x.response, x.conn
	if x.request.Upgrade == "" || !x.finish() {
		return fmt.Errorf("%w: it switches protocols unasked", http1.ErrMalformedResponse)
	}
	if !x.unwatched() {
		return context.Cause(x.ctx)
	}
	c.setDeadline(time.Time{})
	res.Header = cloned(res.Header)
	res.Tunnel = newTunnel(c)
	res.Body, res.Close = x, x.Close
	return nil
}

func cloned(h exchange.Header) exchange.Header {
	c := make(exchange.Header, len(h))
	for i, f := range h {
		c[i] = exchange.Field{Name: string([]byte(f.Name)), Value: string([]byte(f.Value))}
	}
	return c
}

// mayRepeat reports whether the request can be sent again after err on a kept
// connection, and makes the call ready for that.
func (x *call) mayRepeat(err error) bool {
	c := x.conn
	if x.answered || len(c.reader.Buffered()) > 0 || !(err == io.EOF || died(err)) {
		return false
	}
	x.mu.Lock()
	x.repeating = x.inHand() && x.ended == nil
	repeating := x.repeating
	if repeating {
		c.setDeadline(longAgo)
	}
	x.mu.Unlock()
	if !repeating {
		return false
	}
	if x.pumped != nil {
		<-x.pumped
		x.pumped = nil
	}
	return idempotent(x.request.Method) || c.unread()
}

// inHand reports whether the whole of the request can be sent again.
func (x *call) inHand() bool { return !x.refilled || x.rewinder() != nil }

// idempotent tells the methods of RFC 9110, section 9.2.2.
func idempotent(method string) bool {
	switch method {
	case "GET", "HEAD", "OPTIONS", "TRACE", "PUT", "DELETE":
		return true
	}
	return false
}

// rewinder is a body that can be sent again.
type rewinder interface{ Rewind() }

func (x *call) rewinder() rewinder {
	body, _ := x.request.Body.(rewinder)
	return body
}

// again makes the first write anew, if its place was given to another part.
func (x *call) again() error {
	if !x.refilled {
		return nil
	}
	x.refilled = false
	x.rewinder().Rewind()
	x.out.free()
	return x.prepare()
}

// Ready reports whether a Read would return without waiting, as far as what was
// received tells.
func (x *call) Ready() bool {
	return x.closed.Load() || x.conn.reader.Body().Ready()
}

// Await waits for more of the response's body, or its end, and reports whether
// some came within d.
func (x *call) Await(d time.Duration) bool {
	if x.Ready() {
		return true
	}
	x.hurry(time.Now().Add(d))
	err := x.conn.awaitInput()
	x.hurry(time.Time{})
	return !isTimeout(err) || x.reason() != nil
}

// hurry moves the deadline of reading alone, since the request may still be
// written.
func (x *call) hurry(until time.Time) {
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.ended == nil {
		x.conn.SetReadDeadline(until)
	}
}

var _ exchange.Source = (*call)(nil)

// Fill implements exchange.Source.
func (x *call) Fill(pipe *socket.Pipe, least int64) int {
	if x.closed.Load() || socket.TCP(x.conn.Conn) == nil {
		return 0
	}
	n, _ := x.conn.reader.Body().Fill(pipe, x.conn.Conn, least)
	return n
}

// explain makes an error of Send from that of a read.
func (x *call) explain(err error) error {
	if err == nil {
		return nil
	}
	if reason := x.reason(); reason != nil {
		return reason
	}
	address := x.target.options.Address
	switch {
	case isTimeout(err):
		return fmt.Errorf("%s did not answer: %w", address, ErrTimeout)
	case errors.Is(err, http1.ErrMalformedResponse):
		return fmt.Errorf("unable to read the response of %s: %w", address, err)
	default:
		return fmt.Errorf("unable to get a response from %s: %w: %w", address, ErrBroken, withoutAddress(err))
	}
}

// Read reads the response's body. The error of a body that is cut short is an
// io.ErrUnexpectedEOF and an ErrBroken; the end of ctx is its cause.
func (x *call) Read(p []byte) (int, error) {
	switch {
	case x.closed.Load():
		return 0, ErrClosed
	case x.watched && x.ctx.Err() != nil:
		return 0, context.Cause(x.ctx)
	}
	n, err := x.conn.reader.Body().Read(p)
	if err == nil || err == io.EOF {
		return n, err
	}
	if reason := x.reason(); reason != nil {
		return n, reason
	}
	if !errors.Is(err, http1.ErrMalformedResponse) {
		err = fmt.Errorf("%w: %w", ErrBroken, err)
	}
	return n, fmt.Errorf("unable to read the response of %s: %w", x.target.options.Address, err)
}

// Close ends the response: the connection is kept if both bodies have ended,
// else closed.
func (x *call) Close() error {
	if x.closed.Swap(true) {
		return nil
	}
	c := x.conn
	sent := x.finish()
	if x.unwatched() && sent && x.reusable() {
		x.target.put(c)
	} else {
		c.close()
	}
	x.out.free()
	return nil
}

func (x *call) reusable() bool {
	reader := x.conn.reader
	return x.response.Tunnel == nil && x.reason() == nil &&
		reader.KeepAlive() && reader.Body().Done() && len(reader.Buffered()) == 0 &&
		!strange(x.request) && !x.early
}

// strange tells a request with a body where none has a meaning (RFC 9110,
// sections 9.3.1, 9.3.2, 9.3.5 and 9.3.8): some targets do not read it, and take
// it for the next request.
func strange(r *exchange.Request) bool {
	if r.ContentLength == 0 {
		return false
	}
	switch r.Method {
	case "GET", "HEAD", "DELETE", "TRACE":
		return true
	}
	return false
}
