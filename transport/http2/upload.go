package http2

import (
	"io"
	"os"
	"sync"
	"time"

	"kamal-proxy/transport/exchange"
)

// uploadSize is a part of what is kept of a body.
const uploadSize = 4 << 10

var uploadBlocks = sync.Pool{New: func() any { return new([uploadSize]byte) }}

// upload is a request's body on its way in: what has come and was not read. The
// client is let send more as it is read. The connection's lock guards it.
type upload struct {
	arrived  sync.Cond
	blocks   []*[uploadSize]byte
	from, to int // in the first, and in the last block
	size     int // in all

	declared int64 // by Content-Length; -1: not
	got      int64
	window   int // what the client may still send
	refunds  int // what it may send again, but was not told
	wide     bool
	ended    bool
	closed   bool
	trailer  exchange.Header
	timer    *time.Timer
}

// receiveData takes a part of the body; size is with its padding.
func (s *stream) receiveData(p []byte, size int, last bool) error {
	c, u := s.conn, &s.upload
	if u.ended {
		c.refund(size)
		return &streamError{s.id, streamClosed, "DATA for a stream whose request has ended"}
	}
	u.window -= size
	u.got += int64(len(p))
	switch {
	case u.window < 0:
		c.refund(size)
		return &streamError{s.id, flowControlError, "more DATA than the stream's window allows"}
	case u.declared >= 0 && (u.got > u.declared || last && u.got < u.declared):
		c.refund(size)
		return &streamError{s.id, protocolError, "the body is not as long as Content-Length says"}
	}
	u.ended = last
	if len(p) > 0 {
		c.calm.earn(1)
	}
	if u.closed {
		c.refund(size)
		return nil
	}
	s.refundUpload(size - len(p))
	u.put(p)
	u.arrived.Broadcast()
	return nil
}

// refundUpload lets the client send n bytes more.
func (s *stream) refundUpload(n int) {
	c, u := s.conn, &s.upload
	c.refund(n)
	u.refunds += n
	if u.ended || u.closed || s.reset || c.broken || c.ending || u.refunds < readingWindow/4 {
		return
	}
	c.control()
	c.out.pending = appendWindowUpdate(c.out.pending, s.id, u.refunds)
	u.window += u.refunds
	u.refunds = 0
}

func (u *upload) put(p []byte) {
	u.size += len(p)
	for len(p) > 0 {
		if len(u.blocks) == 0 || u.to == uploadSize {
			u.blocks = append(u.blocks, uploadBlocks.Get().(*[uploadSize]byte))
			u.to = 0
		}
		n := copy(u.blocks[len(u.blocks)-1][u.to:], p)
		u.to += n
		p = p[n:]
	}
}

func (u *upload) take(p []byte) (n int) {
	for n < len(p) && u.size > 0 {
		first := u.blocks[0][u.from:]
		if len(u.blocks) == 1 {
			first = u.blocks[0][u.from:u.to]
		}
		m := copy(p[n:], first)
		n += m
		u.from += m
		u.size -= m
		if m == len(first) {
			u.drop()
		}
	}
	return n
}

func (u *upload) drop() {
	uploadBlocks.Put(u.blocks[0])
	u.blocks[0] = nil
	u.blocks = u.blocks[1:]
	u.from = 0
}

// discardUpload throws away what was not read.
func (s *stream) discardUpload() {
	u := &s.upload
	s.conn.refund(u.size)
	u.size = 0
	for len(u.blocks) > 0 {
		u.drop()
	}
}

// body is a stream as its request's Body.
type body stream

// Read implements io.Reader. The error is os.ErrDeadlineExceeded for a body that
// stalls, io.ErrUnexpectedEOF where the client leaves.
func (b *body) Read(p []byte) (int, error) {
	s, c, u := (*stream)(b), b.conn, &b.upload
	c.mu.Lock()
	defer c.mu.Unlock()
	if err := s.awaitUpload(); err != nil || len(p) == 0 {
		return 0, err
	}
	n := u.take(p)
	s.refundUpload(n)
	if c.out.controls > 0 {
		c.kick()
	}
	return n, nil
}

// awaitUpload waits until there is something to read.
func (s *stream) awaitUpload() error {
	c, u := s.conn, &s.upload
	var limit time.Time
	for {
		switch {
		case u.closed:
			return errUploadClosed
		case s.over || s.reset || c.broken:
			return io.ErrUnexpectedEOF
		case u.size > 0:
			return nil
		case u.ended:
			return io.EOF
		case limit.IsZero():
			limit = time.Now().Add(c.config.BodyStall)
			s.welcomeUpload()
			u.wakeAt(limit, &c.mu)
			defer u.timer.Stop()
		case !s.headSent && !time.Now().Before(limit): // with a response, it may take its time
			return os.ErrDeadlineExceeded
		}
		u.arrived.Wait()
	}
}

// wakeAt wakes who waits, a little later than t.
func (u *upload) wakeAt(t time.Time, mu *sync.Mutex) {
	d := time.Until(t) + time.Millisecond
	if u.timer != nil {
		u.timer.Reset(d)
		return
	}
	u.timer = time.AfterFunc(d, func() {
		mu.Lock()
		defer mu.Unlock()
		u.arrived.Broadcast()
	})
}

// welcomeUpload asks for the body, now that somebody waits for it: by 100
// Continue, where the client waits for that, and by a wider window.
func (s *stream) welcomeUpload() {
	c, u := s.conn, &s.upload
	if s.expects && !s.headSent {
		c.control()
		start := c.beginHead()
		c.out.pending = c.encoder.status(c.out.pending, 100)
		c.endHead(start, s.id, 0)
	}
	s.expects = false
	if !u.wide && (u.declared < 0 || u.declared-u.got > int64(u.window)) {
		u.wide = true
		u.refunds += readingWindow - streamWindow
		s.refundUpload(0)
	}
	if c.out.controls > 0 {
		c.kick()
	}
}

// Close makes a Read return, and all that follow. It may come from any
// goroutine, at any time.
func (b *body) Close() error {
	s, u := (*stream)(b), &b.upload
	s.conn.mu.Lock()
	defer s.conn.mu.Unlock()
	if !u.closed && !(u.ended && u.size == 0) {
		u.closed = true
		s.discardUpload()
		s.conn.kick()
		u.arrived.Broadcast()
	}
	return nil
}

// requestTrailer is the request's Trailer.
func (s *stream) requestTrailer() exchange.Header {
	s.conn.mu.Lock()
	defer s.conn.mu.Unlock()
	return s.upload.trailer
}

// nothing is the body of a request without one.
type nothing struct{}

func (nothing) Read([]byte) (int, error) { return 0, io.EOF }

func noTrailer() exchange.Header { return nil }
