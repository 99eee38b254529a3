package http2

import (
	"encoding/binary"
	"errors"
	"io"
	"net"
	"os"
	"sync"
	"time"
)

const (
	// What a client may send before we take any: of one body, of one that its
	// Handler reads, and of all together.
	streamWindow  = baseWindow
	readingWindow = 512 << 10
	connWindow    = 1 << 20

	restAfter  = time.Second // the wait after which a connection is idle for longer
	settleTime = time.Second // for a client's answer to the first GOAWAY
	lingerTime = time.Second // for what a client still has to say at the end
	lastWords  = 2 * time.Second

	calmMost, calmPerSecond = 2000, 200 // frames that cost a client nothing, see conn.calm
)

// conn is one connection. Its reader runs serve.
type conn struct {
	server *Server
	config *Config
	socket net.Conn
	peer   Peer

	// The reader's own.
	inlet   inlet
	head    head
	work    chan *stream // to goroutines that wait for a stream; nil: it may end
	rested  bool
	until   time.Time // the read deadline in force
	since   time.Time // when what came in part began
	calm    allowance // of frames that cost a client nothing and us something
	resets  allowance // of streams that were begun for nothing
	settled bool      // the client's SETTINGS have come
	f       frame     // at hand

	handlers sync.WaitGroup

	mu       sync.Mutex // guards what follows, and all of streams and uploads
	out      outgoing
	encoder  encoder
	streams  map[uint32]*stream
	lastID   uint32 // of the client's streams
	requests int
	running  int       // Handlers
	resting  bool      // no goroutine is to wait for a stream
	lastEnd  time.Time // of one
	left     recent    // streams that ended before the client had

	window        int64 // what we may send
	forWindow     line
	initialWindow int64 // of new streams, as the client wants
	received      int   // what the client may still send
	refunds       int   // what it may send again, but was not told
	earned        int   // frames that it may send at our expense

	departing bool   // the server is
	retiring  bool   // the first GOAWAY has gone out
	refusing  bool   // the last GOAWAY has: later streams are not looked at
	ending    bool   // nothing more is sent, but for what is pending
	finished  bool   // that has gone, too
	broken    bool   // writes have failed, or the reader has ended
	accepted  uint32 // the last one that is, then
}

func newConn(s *Server, socket net.Conn, peer Peer) *conn {
	c := &conn{
		server: s, config: &s.config, socket: socket, peer: peer,
		work:    make(chan *stream),
		calm:    newAllowance(calmMost, calmPerSecond),
		resets:  newAllowance(5*s.config.MaxResets, s.config.MaxResets),
		streams: make(map[uint32]*stream),
		window:  baseWindow, initialWindow: baseWindow, received: connWindow,
		lastEnd: time.Now(),
	}
	c.inlet.src = socket
	c.encoder.init()
	c.head.init(c)
	return c
}

// serve reads frames until the connection ends.
func (c *conn) serve() error {
	defer c.end()
	c.greet()
	err := c.readPreface()
	for err == nil {
		err = c.step()
	}
	if c.sayGoodbye(err) {
		c.linger()
	}
	return unlessOrderly(err)
}

// greet sends what a server begins with (RFC 9113, section 3.4).
func (c *conn) greet() {
	c.mu.Lock()
	defer c.mu.Unlock()
	settings := [...][2]uint32{
		{settingMaxStreams, uint32(c.config.MaxStreams)},
		{settingMaxHeaderList, uint32(c.config.MaxHeaderBytes)},
	}
	c.control()
	c.out.pending = appendFrame(c.out.pending, 6*len(settings), frameSettings, 0, 0)
	for _, s := range settings {
		c.out.pending = binary.BigEndian.AppendUint16(c.out.pending, uint16(s[0]))
		c.out.pending = binary.BigEndian.AppendUint32(c.out.pending, s[1])
	}
	c.out.pending = appendWindowUpdate(c.out.pending, 0, connWindow-baseWindow)
}

func (c *conn) readPreface() error {
	c.inlet.open()
	for {
		if p, ok := c.inlet.take(len(preface)); ok {
			if string(p) != preface {
				return &connError{protocolError, "the connection does not begin with HTTP/2's preface"}
			}
			return nil
		}
		if err := c.fill(); err != nil {
			return err
		}
	}
}

// step reads one frame and acts on it.
func (c *conn) step() error {
	for {
		ok, err := c.inlet.frame(&c.f)
		if err != nil {
			return err
		}
		if ok {
			break
		}
		if err := c.fill(); err != nil {
			return err
		}
	}
	err := c.receive(&c.f)
	if c.settled && !c.head.open {
		c.since = time.Time{} // what comes next in part has just begun
	}
	if broken, ok := err.(*streamError); ok {
		return c.resetFor(broken)
	}
	return err
}

// fill waits for more bytes.
func (c *conn) fill() error {
	for {
		if c.settleUp() {
			return errRetired
		}
		if err := c.setLimit(); err != nil {
			return err
		}
		err := c.inlet.fill()
		switch {
		case err == nil:
			c.rested = false
			return nil
		case !errors.Is(err, os.ErrDeadlineExceeded):
			return err
		}
		c.overdue()
	}
}

// settleUp sends all that was said before the reader waits. It reports whether
// there is nothing more to wait for.
func (c *conn) settleUp() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.calm.earn(c.earned)
	c.earned = 0
	if c.out.controls > 0 {
		c.kick()
	}
	return c.ending
}

var (
	errSlowHead = &connError{enhanceYourCalm, "a head took too long"}
	errRetired  = errors.New("the connection was retired")
)

// setLimit says until when the next read may wait. A deadline that is about
// right is left alone, since moving it costs.
func (c *conn) setLimit() error {
	now := time.Now()
	limit := restAfter
	switch kind, part := c.inlet.part(); {
	case !c.settled || c.head.open || part && kind != frameData:
		if c.since.IsZero() {
			c.since = now
		}
		limit = c.since.Add(c.config.HeadTimeout).Sub(now)
		if limit <= 0 {
			return errSlowHead
		}
	case c.rested:
		limit = c.idleLeft(now)
		c.since = time.Time{}
	default:
		limit = min(restAfter, c.config.IdleTimeout)
		c.since = time.Time{}
	}
	if late := c.until.Sub(now.Add(limit)); late < 0 || late > limit/4 {
		c.until = now.Add(limit + limit/8)
		c.mu.Lock()
		defer c.mu.Unlock()
		if !c.finished {
			c.socket.SetReadDeadline(c.until)
		}
		c.retireIfIdle(now) // whose PINGs come too fast for a read to be overdue
	}
	return nil
}

// retireIfIdle ends a connection that has been without a stream for too long.
func (c *conn) retireIfIdle(now time.Time) {
	if c.running == 0 && now.Sub(c.lastEnd) >= c.config.IdleTimeout {
		c.retireLocked()
	}
}

// idleLeft is how long the connection may still be idle.
func (c *conn) idleLeft(now time.Time) time.Duration {
	c.mu.Lock()
	defer c.mu.Unlock()
	if left := c.lastEnd.Add(c.config.IdleTimeout).Sub(now); left > 0 && c.running == 0 {
		return left
	}
	return c.config.IdleTimeout
}

// overdue is called when a read has waited until its limit.
func (c *conn) overdue() {
	c.until = time.Time{}
	c.rested = true
	c.f.payload = nil
	c.head.rest()
	c.inlet.rest()
	c.mu.Lock()
	defer c.mu.Unlock()
	c.resting = true
	c.dismissWorkers()
	c.retireIfIdle(time.Now())
}

// dismissWorkers ends the goroutines that wait for a stream.
func (c *conn) dismissWorkers() {
	for {
		select {
		case c.work <- nil:
		default:
			return
		}
	}
}

// sayGoodbye tells the client why the connection ends, and reports whether it
// may be listening.
func (c *conn) sayGoodbye(err error) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	var reason *connError
	told := errors.As(err, &reason)
	if told && !c.broken && !c.ending {
		last := c.lastID
		if c.refusing {
			last = c.accepted
		}
		c.control()
		c.out.pending = appendGoAway(c.out.pending, last, reason.code, reason.reason)
		c.ending = true
		c.socket.SetWriteDeadline(time.Now().Add(lastWords))
		c.kick()
	}
	c.departAll()
	return c.ending && !c.broken
}

// linger reads on until the client has closed its side, or has had a moment
// after all was sent: a socket that is closed with bytes unread resets its
// connection, and what was last sent could be lost.
func (c *conn) linger() {
	c.mu.Lock()
	if !c.finished {
		c.socket.SetReadDeadline(time.Time{})
	}
	c.mu.Unlock()
	c.inlet.open()
	for {
		c.inlet.r, c.inlet.w = 0, 0
		if c.inlet.fill() != nil {
			return
		}
	}
}

// finish is called when nothing is left to send on an ending connection.
func (c *conn) finish() {
	half, ok := c.socket.(interface{ CloseWrite() error })
	if !ok {
		c.socket.Close()
		return
	}
	c.mu.Lock()
	if !c.finished {
		c.finished = true
		c.socket.SetReadDeadline(time.Now().Add(lingerTime))
	}
	c.mu.Unlock()
	half.CloseWrite()
}

// end closes the connection, and waits for its Handlers.
func (c *conn) end() {
	c.cut()
	close(c.work)
	c.inlet.close()
	c.handlers.Wait()
}

// departAll ends all streams: the client has gone.
func (c *conn) departAll() {
	for _, s := range c.streams {
		s.depart()
	}
	clear(c.streams)
}

// cut breaks the connection off.
func (c *conn) cut() {
	c.mu.Lock()
	c.broken = true
	c.departAll()
	c.mu.Unlock()
	hangUp(c.socket)
}

// hangUp closes a socket at once, without the goodbye of TLS, which would wait
// for a client that does not read.
func hangUp(socket net.Conn) {
	if secure, ok := socket.(interface{ NetConn() net.Conn }); ok {
		secure.NetConn().Close()
	}
	socket.Close()
}

func unlessOrderly(err error) error {
	var reason *connError
	if err == io.EOF || errors.Is(err, errRetired) || errors.As(err, &reason) && reason.code == noError {
		return nil
	}
	return err
}
