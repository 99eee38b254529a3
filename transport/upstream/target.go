// Package upstream keeps the connections to one target and sends requests on
// them: HTTP/1.1 over plain sockets, the request written and the response read
// on the caller's goroutine.
//
// A second goroutine is needed only while a request's body does not fit into
// the first write: it sends the rest while the response is waited for, so that
// a target may answer before it has read everything, and neither side can
// block the other. It reads the request's Body, and has let go of it when Send
// returns an error or the response's Close returns. A Body that is an
// io.Closer is closed if a Read of it is under way then; Close must make that
// Read return.
package upstream

import (
	"context"
	"net"
	"sync"
	"time"

	"kamal-proxy/transport/exchange"
	"kamal-proxy/transport/http1"
)

// Options say how a target is reached. Zero values mean the defaults.
type Options struct {
	Address string // host:port, an IPv6 host in brackets; a name is resolved for each connection

	// ResponseTimeout limits the time from Send to the head of the final
	// response, connecting included; 0: no limit. While a body is sent that
	// is larger than the first write, the time starts anew with each part
	// that goes out, and stands still while the client's next part is waited
	// for. It may be 1/32 longer, a second at most: timers cost.
	ResponseTimeout time.Duration
	DialTimeout     time.Duration // without a ResponseTimeout; 30 s
	IdleTimeout     time.Duration // of a connection without a request; 60 s
	MaxIdle         int           // connections kept without a request; 256

	// DialContext makes connections; they must be sockets (syscall.Conn).
	DialContext func(ctx context.Context, network, address string) (net.Conn, error)
}

const (
	defaultDialTimeout = 30 * time.Second
	defaultIdleTimeout = 60 * time.Second
	defaultMaxIdle     = 256
)

// The target is trusted more than a client: its heads may be larger.
var responseLimits = http1.Limits{Line: 256 << 10, Head: 256 << 10, Fields: 4000}

// Target is one target's connections. Its methods may be called from any
// goroutine.
type Target struct {
	options Options

	mu       sync.Mutex
	idle     []*conn // the one used last is at the end
	sweeper  *time.Timer
	sweeping bool
	closed   bool
}

// New returns a Target without connections.
func New(o Options) *Target {
	if o.DialTimeout <= 0 {
		o.DialTimeout = defaultDialTimeout
	}
	if o.IdleTimeout <= 0 {
		o.IdleTimeout = defaultIdleTimeout
	}
	if o.MaxIdle <= 0 {
		o.MaxIdle = defaultMaxIdle
	}
	if o.DialContext == nil {
		o.DialContext = new(net.Dialer).DialContext
	}
	return &Target{options: o}
}

// Send sends r and returns the final response, whose Close must be called.
// Strings of the response hold until then. r's Header is written as it is, but
// for the fields about framing and the connection, which follow from r.
//
// interim is called for each 1xx but 101; its header holds only during the
// call, and its error ends the request. nil: they are dropped.
//
// The error has ErrUnreachable, ErrTimeout, ErrBroken or
// http1.ErrMalformedResponse in it, where the target is at fault; it is a
// *BodyError or *http1.Error where the request is; it is ctx's cause if that
// ended.
//
// A request that meets the end of a kept connection is sent again on a new one
// if no byte of an answer came, all of it is still in hand, and doing it twice
// is harmless or the target cannot have read it. In hand is what fits into the
// first write, and any body that has a method Rewind(), to be read again. Where
// that is not possible, or the new connection fails in such a way, too, the
// error has an *UnansweredError in it.
//
// The response's Body has a method Ready() bool: whether a Read would not wait.
//
// Watching ctx costs about half a microsecond; less if it is Watchable, and
// nothing if it cannot end.
func (t *Target) Send(ctx context.Context, r *exchange.Request, interim func(status int, h exchange.Header) error) (*exchange.Response, error) {
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	x := &call{target: t, ctx: ctx, request: r, interim: interim}
	defer x.abandonUnanswered()
	x.watch()
	if err := x.do(); err != nil {
		return nil, err
	}
	x.done = true
	return &x.response, nil
}

// Watchable is a context that tells one call of its end, without garbage. Its
// Err is the cause.
type Watchable interface {
	context.Context
	// Watch has the call interrupted, once and from another goroutine, when the
	// context ends.
	Watch(Interrupter)
	// Unwatch ends that, and reports whether it was in time.
	Unwatch() bool
}

// Hurried is a context of a request that can go elsewhere, or has been. Its
// Deadline is the end of the ResponseTimeout with which the request was first
// sent; the response's body may come later.
type Hurried interface {
	context.Context
	// ConnectWithin is how long a connection may take to be made; 0: as long as
	// the request has time. A target that takes longer is unreachable.
	ConnectWithin() time.Duration
}

// Interrupter is a call as a Watchable knows it.
type Interrupter interface{ Interrupt(cause error) }

// Close closes what is idle; other connections are closed when their response
// ends. It may be called more than once.
func (t *Target) Close() {
	t.mu.Lock()
	idle := t.idle
	t.idle, t.closed = nil, true
	if t.sweeper != nil {
		t.sweeper.Stop()
	}
	t.mu.Unlock()
	for _, c := range idle {
		c.close()
	}
}
