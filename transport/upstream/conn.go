package upstream

import (
	"context"
	"errors"
	"fmt"
	"net"
	"syscall"
	"time"
	"unsafe"

	"kamal-proxy/transport/exchange"
	"kamal-proxy/transport/http1"
	"kamal-proxy/transport/socket"
)

// conn is one connection to a target. A call owns it, or the pool.
type conn struct {
	net.Conn
	raw     syscall.RawConn
	reader  *http1.Reader
	header  exchange.Header // its room is used again
	reused  bool            // it has carried a request before
	until   time.Time       // the deadline in force; zero: there is none
	written int64           // bytes in all
	before  int64           // of these, before the current request
	since   time.Time       // idle

	// What the functions below work on: they are made once, so that calls
	// through raw cost no allocation.
	out    [1 + maxPieces]syscall.Iovec
	pieces int  // of out
	total  int  // bytes of them
	sent   bool // all of them
	n      int
	errno  syscall.Errno
	last   bool // what comes next is the target's
	peeked [1]byte
	send   func(fd uintptr) bool
	peek   func(fd uintptr)
	await  func(fd uintptr) bool
}

// dial connects to the target before deadline, if there is one.
func (t *Target) dial(ctx context.Context, deadline time.Time) (*conn, error) {
	limit := deadline
	if limit.IsZero() {
		limit = time.Now().Add(t.options.DialTimeout)
	}
	dialing, cancel := context.WithDeadline(ctx, limit)
	defer cancel()
	var connect connector = func(ctx context.Context) (net.Conn, error) {
		return t.options.DialContext(ctx, "tcp", t.options.Address)
	}
	if h, ok := ctx.(Hurried); ok && h.ConnectWithin() > 0 {
		connect = within(h.ConnectWithin(), connect)
	}
	nc, err := connect(dialing)
	switch {
	case err == nil:
		return newConn(nc)
	case ctx.Err() != nil:
		return nil, context.Cause(ctx)
	case !deadline.IsZero() && !time.Now().Before(deadline):
		return nil, fmt.Errorf("unable to connect to %s: %w", t.options.Address, ErrTimeout)
	default:
		return nil, fmt.Errorf("unable to connect to %s: %w: %w", t.options.Address, ErrUnreachable, withoutAddress(err))
	}
}

// withoutAddress leaves out what net says of where an error came from: a line
// that names the target has that already.
func withoutAddress(err error) error {
	var op *net.OpError
	if errors.As(err, &op) && op.Err != nil {
		return op.Err
	}
	return err
}

func newConn(nc net.Conn) (*conn, error) {
	sc, ok := nc.(syscall.Conn)
	if !ok {
		nc.Close()
		return nil, fmt.Errorf("%w: a %T is not a socket", ErrUnreachable, nc)
	}
	raw, err := sc.SyscallConn()
	if err != nil {
		nc.Close()
		return nil, fmt.Errorf("%w: %w", ErrUnreachable, err)
	}
	nc = socket.Of(nc)
	c := &conn{Conn: nc, raw: raw, reader: http1.NewReader(nc, responseLimits)}
	c.send, c.peek, c.await = c.sendThenWait, c.peekNow, c.peekReady
	return c, nil
}

func (c *conn) close() {
	c.Conn.Close()
	c.reader.Discard(len(c.reader.Buffered()))
	c.reader.Release()
}

// rest gives the buffers back until the next request.
func (c *conn) rest() {
	c.reader.Release()
	c.reused, c.since = true, time.Now()
}

// setDeadline sets the deadline of all reading and writing; the zero time is
// none.
func (c *conn) setDeadline(t time.Time) {
	if t.IsZero() && c.until.IsZero() {
		return
	}
	c.until = t
	c.Conn.SetDeadline(t)
}

// setAbout is setDeadline for one that may be later by the given slack: it is
// left alone where it is about right, since moving it costs.
func (c *conn) setAbout(t time.Time, slack time.Duration) {
	if early := c.until.Sub(t); t.IsZero() || early < 0 || early > slack {
		if !t.IsZero() {
			t = t.Add(slack)
		}
		c.setDeadline(t)
	}
}

// maxPieces is how many pieces a body may have to be written at once.
const maxPieces = 4

// tryWrite writes what the kernel takes of a head and a body without waiting.
// If that is all, and the last that the target needs to answer, it waits for the
// target, whose answer cannot be there yet: that saves a read that finds
// nothing. How the wait ended, the next read tells.
func (c *conn) tryWrite(head []byte, body [][]byte, last bool) (int, error) {
	c.pieces, c.total, c.sent, c.last = 0, 0, false, last
	c.add(head)
	for _, p := range body {
		c.add(p)
	}
	c.n, c.errno = 0, 0
	err := c.raw.Read(c.send)
	clear(c.out[:])
	c.written += int64(c.n)
	switch {
	case c.sent:
		return c.n, nil
	case err == nil && c.errno != 0 && c.errno != syscall.EAGAIN:
		err = c.errno
	}
	return c.n, err
}

func (c *conn) add(p []byte) {
	if len(p) > 0 {
		c.out[c.pieces].Base = unsafe.SliceData(p)
		c.out[c.pieces].SetLen(len(p))
		c.pieces++
		c.total += len(p)
	}
}

// sendThenWait is run as a read, so that the runtime looks for input from
// before the write on, and misses none.
func (c *conn) sendThenWait(fd uintptr) bool {
	if c.sent {
		return true
	}
	if c.pieces == 1 {
		c.n, c.errno = socket.Write(fd, unsafe.Slice(c.out[0].Base, c.total))
	} else {
		c.n, c.errno = socket.Writev(fd, c.out[:c.pieces])
	}
	c.sent = c.n == c.total
	return !c.sent || !c.last
}

// Write writes all of p.
func (c *conn) Write(p []byte) (int, error) {
	n, err := c.Conn.Write(p)
	c.written += int64(n)
	return n, err
}

// quiet reports whether the connection is open and nothing has come in.
func (c *conn) quiet() bool {
	return c.raw.Control(c.peek) == nil && c.errno == syscall.EAGAIN
}

func (c *conn) peekNow(fd uintptr) { _, c.errno = socket.Peek(fd, &c.peeked) }

func (c *conn) peekReady(fd uintptr) bool {
	c.peekNow(fd)
	return c.errno != syscall.EAGAIN
}

// awaitInput waits until a byte, or the end, has come in. It reads nothing.
func (c *conn) awaitInput() error {
	if len(c.reader.Buffered()) > 0 {
		return nil
	}
	return c.raw.Read(c.await)
}

// died tells the errors of a connection that was closed by the other end.
func died(err error) bool {
	return errors.Is(err, syscall.ECONNRESET) || errors.Is(err, syscall.EPIPE) || errors.Is(err, syscall.ECONNABORTED)
}
