package ingress

import (
	"crypto/tls"
	"errors"
	"io"
	"net"
	"os"
	"sync/atomic"
	"syscall"
	"time"

	"kamal-proxy/transport/crash"
	cheap "kamal-proxy/transport/socket"
)

// conn is one HTTP/1.x connection, served by one goroutine. Between requests it
// has no buffers and no exchange:
//
//	idle -> greeting (with TLS) -> idle -> busy -> idle -> … -> closed
//	                              reading (a head that comes in parts)
//
// closeIdle closes it while it is idle, without a race against the first byte of
// a request; turnAway while it is reading or greeting, too. A goroutine that has
// served a request has a stack to match: when no other one follows soon, a new
// goroutine waits in its place.
type conn struct {
	server *Server
	stream net.Conn // the socket, or TLS on it
	socket net.Conn
	raw    syscall.RawConn // of the socket; nil: it has none
	peer   peer

	state   atomic.Int32
	quiet   atomic.Int64                 // since when it is idle, greeting or reading, in ns of Unix time
	desk    desk                         // of its handshake
	joined  bool                         // the crowd
	current atomic.Pointer[wireExchange] // set from a request's head to its end
	asked   atomic.Bool                  // it has had a request
	x       *wireExchange                // nil while idle
	inlet   inlet
	until   time.Time // the read deadline in force
	headBy  time.Time // when the head must be in; zero: it has not begun, or is in
	seen    sighting  // the lookout's
	rested  bool      // a new goroutine waits for the next request
	resting bool      // it is to be started
}

// restAfter is the wait after which a connection is idle for longer.
const restAfter = 100 * time.Millisecond

const (
	greeting int32 = iota // in its handshake
	idle
	busy
	reading
	closed
	passed // on to HTTP/2
)

func newConn(s *Server, socket net.Conn) *conn {
	socket = cheap.Of(socket)
	c := &conn{server: s, stream: socket, socket: socket}
	if s.tls != nil {
		c.stream = tls.Server(gate{socket, c}, s.tls)
	}
	if sc, ok := socket.(syscall.Conn); ok {
		c.raw, _ = sc.SyscallConn()
	}
	c.peer = peerOf(c.stream)
	c.quiet.Store(time.Now().UnixNano())
	c.desk.crowd = s.crowd
	c.inlet.open(c)
	return c
}

// serve serves the connection from its start.
func (c *conn) serve() {
	defer c.end()
	if c.introduced() && c.admitted() && (c.server.tls == nil || c.shakeHands()) {
		c.serveRequests()
	}
}

var errTooMany = errors.New("its client has as many connections as one may have")

// admitted reports whether the client may have another connection.
func (c *conn) admitted() bool {
	c.joined = c.server.crowd.join(c.peer.client.Addr())
	if !c.joined {
		c.server.refusals.add(c.peer.client.String(), errTooMany)
	}
	return c.joined
}

// resume serves the connection from a long wait on.
func (c *conn) resume() {
	defer c.end()
	c.serveRequests()
}

func (c *conn) serveRequests() {
	for c.next() && c.exchange() {
	}
}

// end is deferred around all of a goroutine. A panic, be it a Handler's, ends
// no more than its connection.
func (c *conn) end() {
	if cause := recover(); cause != nil {
		c.desk.leave()
		c.panicked(cause)
	}
	if c.resting {
		c.resting, c.rested = false, true
		go c.resume()
		return
	}
	if c.joined {
		c.server.crowd.part(c.peer.client.Addr())
	}
	if c.state.Load() != passed {
		defer c.server.conns.remove(c)
		defer crash.Guard(c.server.log, "Closing a connection panicked")
		c.inlet.close()
		c.stream.Close()
	}
}

func (c *conn) panicked(cause any) {
	defer crash.Guard(c.server.log, "Ending a connection that panicked has panicked, too")
	line := crash.Caught(c.server.log, cause)
	x := c.x
	if x != nil && x.tunnel == nil {
		line = line.Str("method", x.request.Method).Str("path", x.request.Path)
	}
	line.Msg("Request panicked")
	if x != nil {
		x.breakOff()
		x.presence.leaveOn(c)
		x.presence.end()
	}
}

// next waits for the first byte of a request, and makes ready for it.
func (c *conn) next() bool {
	if c.x != nil { // its first byte has come with the request before
		return true
	}
	if c.await(c.rest()) != nil || !c.wake() {
		return false
	}
	c.rested = false
	c.x = takeWireExchange(c)
	return true
}

// await waits for the first bytes of a request.
func (c *conn) await(now time.Time) error {
	if idle := c.server.idleTimeout; c.rested || idle < 2*restAfter {
		c.limit(now, idle)
		return c.inlet.await()
	}
	c.limit(now, restAfter)
	err := c.inlet.await()
	c.resting = errors.Is(err, os.ErrDeadlineExceeded)
	if c.resting {
		c.state.CompareAndSwap(reading, idle)
	}
	return err
}

// exchange serves one request, and reports whether there may be another one.
func (c *conn) exchange() bool {
	x := c.x
	if err := x.receive(); err != nil || !c.hasHead() {
		if c.refuse(err) {
			c.dismiss()
			c.linger()
		}
		return false
	}
	x.serve()
	fate := x.finish()
	if fate == kept && x.pipelined() {
		return true
	}
	c.dismiss()
	if fate == lingering {
		c.linger()
	}
	return fate == kept
}

// dismiss gives the exchange and its buffers back.
func (c *conn) dismiss() {
	c.x.give()
	c.x = nil
}

// rest and wake are the ways into and out of idle. wake fails if the connection
// was closed.
func (c *conn) rest() (now time.Time) {
	now = time.Now()
	if !c.rested {
		c.quiet.Store(now.UnixNano())
		_ = c.state.CompareAndSwap(busy, idle) || c.state.CompareAndSwap(greeting, idle)
	}
	return now
}

func (c *conn) wake() bool {
	return c.state.CompareAndSwap(idle, busy) || c.state.CompareAndSwap(reading, busy) || c.state.Load() == busy
}

// stir is called before bytes of a request are read, so that no idle connection
// has any: it would be closed, and they lost. It fails if the connection was
// closed. settle is called if there were none.
func (c *conn) stir() bool { return c.state.CompareAndSwap(idle, busy) }

func (c *conn) settle() { c.state.CompareAndSwap(busy, idle) }

// greets is called when a handshake's bytes have come. It fails if the connection
// was closed.
func (c *conn) greets() bool {
	return c.state.CompareAndSwap(idle, greeting) || c.state.Load() == greeting
}

// hasHead is called when a head is in. It fails if the connection was closed
// while it came.
func (c *conn) hasHead() bool {
	late := c.headBy.IsZero()
	c.headBy = time.Time{}
	return late || c.state.CompareAndSwap(reading, busy)
}

// closeIdle closes the connection if it is idle, and reports whether it was.
func (c *conn) closeIdle() bool {
	if !c.state.CompareAndSwap(idle, closed) {
		return false
	}
	c.socket.Close()
	return true
}

// turnAway closes the connection to make room, if it is in one of these states
// and its client has not just sent something.
func (c *conn) turnAway(states ...int32) bool {
	if c.stirs() {
		return false
	}
	for _, state := range states {
		if c.state.CompareAndSwap(state, closed) {
			c.socket.Close()
			c.server.conns.remove(c)
			return true
		}
	}
	return false
}

// guest tells whether the connection may make room for others.
func (c *conn) guest(now time.Time) (g guest, ok bool) {
	state, since := c.state.Load(), c.quiet.Load()
	switch {
	case state == idle && (c.asked.Load() || since < now.Add(-debut).UnixNano()):
		return guest{since: since, dismiss: func() bool { return c.turnAway(idle) }}, true
	case (state == greeting || state == reading) && since < now.Add(-hesitation).UnixNano():
		return guest{since: since, hesitating: true, dismiss: func() bool { return c.turnAway(greeting, reading) }}, true
	}
	return guest{}, false
}

// cut breaks the connection off, whatever it does.
func (c *conn) cut() {
	if x := c.current.Load(); x != nil {
		x.presence.leaveOn(c)
	}
	c.socket.Close()
}

// hangUp closes the connection without a goodbye, so that a response that ends
// there does not look whole.
func (c *conn) hangUp() { c.socket.Close() }

// reset is hangUp for a response that only the connection's end delimits.
func (c *conn) reset() {
	if tcp := cheap.TCP(c.socket); tcp != nil {
		tcp.SetLinger(0)
	}
	c.socket.Close()
}

// Read reads from the client: http1's Reader calls it for a head, and for
// bodies.
func (c *conn) Read(p []byte) (int, error) {
	switch {
	case c.inlet.has():
		return c.inlet.take(p), nil
	case c.stream == c.socket:
		return gate{c.socket, c}.Read(p)
	default:
		return c.stream.Read(p)
	}
}

// gate is the socket, read within the time that there is for what comes next.
// It lies below TLS, since there a read that needs none of the socket is none
// that may wait.
type gate struct {
	net.Conn
	conn *conn
}

func (g gate) Read(p []byte) (int, error) {
	if err := g.conn.beforeRead(); err != nil {
		return 0, err
	}
	g.conn.desk.leave()
	n, err := g.Conn.Read(p)
	if !g.conn.desk.take() || n > 0 && g.conn.desk.inLine && !g.conn.greets() {
		return 0, os.ErrDeadlineExceeded
	}
	if n > 0 && g.conn.x == nil {
		g.conn.record()
	}
	return n, err
}

// record notes that a part of TLS's has come, of which a request may.
func (c *conn) record() {
	if c.desk.inLine && !c.server.draining.Load() {
		return
	}
	c.quiet.Store(time.Now().UnixNano())
	if !c.desk.inLine {
		c.state.CompareAndSwap(idle, reading)
	}
}

// RemoteAddr is the client's, where the PROXY protocol names it.
func (g gate) RemoteAddr() net.Addr {
	if client := g.conn.peer.client; client.IsValid() {
		return net.TCPAddrFromAddrPort(client)
	}
	return g.Conn.RemoteAddr()
}

func (c *conn) beforeRead() error {
	switch {
	case c.x == nil: // idle, or a handshake
	case c.current.Load() != nil:
		return c.x.waitForBody()
	case c.headBy.IsZero():
		now := time.Now()
		c.headBy = now.Add(c.server.headTimeout)
		c.setReadDeadline(c.headBy)
		c.quiet.Store(now.UnixNano())
		c.state.CompareAndSwap(busy, reading)
	}
	return nil
}

// limit makes reads fail d after now or a little later: the deadline is left
// alone where it is about right, since moving it costs.
func (c *conn) limit(now time.Time, d time.Duration) {
	want := now.Add(d)
	if late := c.until.Sub(want); late < 0 || late > d/4 {
		c.setReadDeadline(want.Add(d / 8))
	}
}

func (c *conn) setReadDeadline(t time.Time) {
	c.until = t
	c.socket.SetReadDeadline(t)
}

var _ io.Reader = (*conn)(nil)
