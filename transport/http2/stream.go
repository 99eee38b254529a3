package http2

import (
	"context"
	"fmt"
	"sync"
	"time"

	"kamal-proxy/transport/crash"
	"kamal-proxy/transport/exchange"
)

// stream is one request and its response. It is made anew for each, so that an
// Abort that comes too late meets none but its own. The connection's lock guards
// what more than its Handler's goroutine uses.
type stream struct {
	conn     *conn
	id       uint32
	request  exchange.Request
	presence presence
	upload   upload

	// The Handler's goroutine's own.
	status   int   // of the final response; 0: none yet
	length   int64 // as told to Respond
	sent     int64 // bytes of the body
	bodyless bool  // there is none, whatever is written

	sendable sync.Cond
	line     *line // that it stands in, or nil
	window   int64 // what we may send
	expects  bool  // 100 Continue is still to be sent
	headSent bool
	trailed  bool // the stream was ended by a trailer
	reset    bool // by either side, or with the connection
	over     bool // its Handler has returned

	lastFrame  int    // where in the pending buffer it begins
	lastNumber uint64 // of that buffer
}

var _ exchange.Exchange = (*stream)(nil)

// begin begins a stream and has it handled.
func (c *conn) begin(h *head, length int64) error {
	s := &stream{conn: c, id: h.id}
	s.sendable.L, s.upload.arrived.L = &c.mu, &c.mu
	s.fill(h, length)
	c.mu.Lock()
	if c.running >= c.config.MaxStreams {
		c.mu.Unlock()
		return &streamError{h.id, refusedStream, "too many streams at once"}
	}
	h.fields = nil // they are the stream's
	s.window = c.initialWindow
	c.streams[s.id] = s
	c.running++
	c.resting = false
	c.requests++
	c.earned += 2 // frames about its priority and window
	if c.requests == c.config.MaxRequests || c.departing {
		c.retireLocked()
	}
	c.mu.Unlock()
	c.handlers.Add(1)
	select {
	case c.work <- s:
	default:
		go c.serveStreams(s)
	}
	return nil
}

// serveStreams serves one stream after the other, until it gets none.
func (c *conn) serveStreams(s *stream) {
	defer c.rescue()
	for s != nil {
		s.serve()
		if c.isResting() {
			return
		}
		s = <-c.work
	}
}

// rescue is deferred on the connection's own goroutines: a panic there ends the
// connection.
func (c *conn) rescue() {
	if cause := recover(); cause != nil {
		crash.Caught(c.config.Log, cause).Msg("Connection panicked")
		hangUp(c.socket) // which ends the reader
	}
}

func (c *conn) isResting() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.resting
}

func (s *stream) fill(h *head, length int64) {
	c, r := s.conn, &s.request
	r.Method, r.Target, r.Authority = h.method, h.path, h.authority
	r.Path, r.Query, r.HasQuery = cutQuery(h.path)
	r.Scheme, r.Client, r.Port, r.Proto = c.peer.Scheme, c.peer.Client, c.peer.Port, "HTTP/2.0"
	r.Header, r.ContentLength = h.fields, length
	s.upload.declared, s.upload.ended, s.upload.window = length, h.ended, streamWindow
	s.expects = h.expects && !h.ended
	if h.ended {
		r.Body, r.Trailer = nothing{}, noTrailer
	} else {
		r.Body, r.Trailer = (*body)(s), s.requestTrailer
	}
}

func cutQuery(target string) (path, query string, has bool) {
	for i := range len(target) {
		if target[i] == '?' {
			return target[:i], target[i+1:], true
		}
	}
	return target, "", false
}

// serve has the Handler answer.
func (s *stream) serve() {
	defer s.conn.handlers.Done()
	defer s.finish()
	s.conn.config.Handler(s)
}

// finish ends the response, or resets the stream. It is deferred around the
// Handler.
func (s *stream) finish() {
	if cause := recover(); cause != nil {
		crash.Caught(s.conn.config.Log, cause).
			Str("method", s.request.Method).Str("path", s.request.Path).Msg("Request panicked")
		s.Abort()
	}
	s.presence.end()
	giveList(s.request.Header)
	s.request.Header = nil

	c := s.conn
	c.mu.Lock()
	s.end()
	s.over = true
	s.discardUpload()
	s.upload.arrived.Broadcast()
	if c.streams[s.id] == s {
		delete(c.streams, s.id)
	}
	c.running--
	if c.running == 0 {
		c.lastEnd = time.Now()
	}
	c.endIfDone()
	c.send()
}

// end ends the stream's sending side, if that was left open.
func (s *stream) end() {
	c := s.conn
	switch {
	case s.reset || c.broken || c.ending:
	case !s.whole():
		s.abort(internalError)
	default:
		if !s.trailed {
			s.endStream()
		}
		if !s.upload.ended { // section 8.1: the rest of the body is not needed
			c.left.add(s.id)
			c.open()
			c.out.pending = appendReset(c.out.pending, s.id, noError)
		}
	}
}

// endStream marks the last frame of the stream, or sends an empty one where that
// has gone.
func (s *stream) endStream() {
	c := s.conn
	if s.lastNumber == c.out.number && s.lastFrame < len(c.out.pending) {
		c.out.pending[s.lastFrame+4] |= flagEndStream
		return
	}
	c.open()
	c.out.pending = appendFrame(c.out.pending, 0, frameData, flagEndStream, s.id)
}

// whole reports whether all of the response was written.
func (s *stream) whole() bool {
	return s.status != 0 && (s.length < 0 || s.bodyless || s.sent == s.length)
}

// depart ends the stream at the client's side: nothing is sent or received on it
// any more.
func (s *stream) depart() {
	s.reset = true
	s.presence.end()
	s.discardUpload()
	s.sendable.Broadcast()
	s.upload.arrived.Broadcast()
}

// abort resets the stream.
func (s *stream) abort(c code) {
	if s.reset || s.over {
		return
	}
	s.depart()
	conn := s.conn
	delete(conn.streams, s.id)
	conn.left.add(s.id)
	if !conn.broken && !conn.ending {
		conn.control()
		conn.out.pending = appendReset(conn.out.pending, s.id, c)
	}
}

// Request implements exchange.Exchange, as do all that follow.
func (s *stream) Request() *exchange.Request { return &s.request }

// Context has a method AfterFunc.
func (s *stream) Context() context.Context { return &s.presence }

func (s *stream) Inform(status int, header exchange.Header) error {
	switch {
	case s.status != 0:
		return errHeadSent
	case status < 100 || status > 199 || status == 101:
		return fmt.Errorf("status %d is not an interim one", status)
	}
	if err := lawful(header); err != nil {
		return err
	}
	c := s.conn
	c.mu.Lock()
	defer c.mu.Unlock()
	if status == 100 {
		if !s.expects {
			return s.gone()
		}
		s.expects = false
	}
	if _, err := s.await(worthwhile, false); err != nil {
		return err
	}
	start := c.beginHead()
	c.out.pending = c.encoder.status(c.out.pending, status)
	c.appendFields(header)
	c.endHead(start, s.id, 0)
	c.kick()
	return nil
}

func (s *stream) gone() error {
	if s.reset || s.conn.broken {
		return errGone
	}
	return nil
}

func (s *stream) Respond(status int, header exchange.Header, length int64) error {
	if s.status != 0 {
		return errHeadSent
	}
	if status < 200 || status > 999 {
		return fmt.Errorf("status %d is not a final one", status)
	}
	if err := lawful(header); err != nil {
		return err
	}
	c := s.conn
	c.mu.Lock()
	defer c.mu.Unlock()
	if _, err := s.await(worthwhile, false); err != nil {
		return err
	}
	s.status, s.length, s.headSent = status, length, true
	s.bodyless = s.request.Method == "HEAD" || status == 204 || status == 304
	start := c.beginHead()
	s.appendHead(header)
	c.endHead(start, s.id, 0)
	s.lastFrame, s.lastNumber = start, c.out.number
	if equalFold(header.Get("Connection"), "close") {
		c.retireLocked()
	}
	return nil
}

func (s *stream) Write(p []byte) (int, error) {
	switch {
	case s.status == 0:
		return 0, errNoHead
	case !s.bodyless && s.length >= 0 && s.sent+int64(len(p)) > s.length:
		return 0, ErrBodyLength
	}
	c := s.conn
	c.mu.Lock()
	defer c.mu.Unlock()
	if s.bodyless || len(p) == 0 {
		return len(p), s.gone()
	}
	if s.trailed {
		return 0, errEnded
	}
	written := 0
	for written < len(p) {
		n, err := s.await(len(p)-written, true)
		if err != nil {
			return written, err
		}
		s.put(p[written : written+n])
		written += n
	}
	return written, nil
}

// put sends a frame of the body, for which there is room.
func (s *stream) put(p []byte) {
	c := s.conn
	s.lastFrame, s.lastNumber = len(c.out.pending), c.out.number
	c.out.pending = append(appendFrame(c.out.pending, len(p), frameData, 0, s.id), p...)
	s.window -= int64(len(p))
	c.window -= int64(len(p))
	s.sent += int64(len(p))
	c.earned += 2 // its client may update two windows for it
}

func (s *stream) Flush() error {
	if s.status == 0 {
		return errNoHead
	}
	c := s.conn
	c.mu.Lock()
	defer c.mu.Unlock()
	c.kick()
	return s.gone()
}

func (s *stream) Trail(trailer exchange.Header) error {
	if s.status == 0 {
		return errNoHead
	}
	if err := lawful(trailer); err != nil {
		return err
	}
	c := s.conn
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case s.trailed:
		return errEnded
	case !s.whole():
		return ErrBodyLength
	case s.bodyless || !mayTrail(trailer):
		return s.gone()
	}
	if _, err := s.await(worthwhile, false); err != nil {
		return err
	}
	start := c.beginHead()
	c.appendTrailer(trailer)
	c.endHead(start, s.id, flagEndStream)
	s.trailed = true
	return nil
}

// Upgrade returns ErrNoUpgrade.
func (s *stream) Upgrade(exchange.Header) (exchange.Tunnel, error) {
	if s.status != 0 {
		return nil, errHeadSent
	}
	return nil, exchange.ErrNoUpgrade
}

func (s *stream) Abort() {
	c := s.conn
	c.mu.Lock()
	defer c.mu.Unlock()
	s.abort(internalError)
	c.kick()
}

func (s *stream) Sent() (int, int64) { return s.status, s.sent }
