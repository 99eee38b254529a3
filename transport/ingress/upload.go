package ingress

import (
	"errors"
	"io"
	"net"
	"sync"
	"time"

	"kamal-proxy/transport/exchange"
	"kamal-proxy/transport/http1"
	"kamal-proxy/transport/socket"
)

var errUploadClosed = errors.New("the request's body was closed")

// upload is a request's body on its way in. It is read by one goroutine at a
// time, which need not be the exchange's.
type upload struct {
	body *http1.Body

	mu       sync.Mutex // guards the rest, and body while nobody reads
	reading  bool
	closed   bool
	ended    bool  // read to its end
	answered bool  // the response has begun: what is left may take its time
	failed   error // of a fill, for the next read; nil: none did
}

func (u *upload) begin(body *http1.Body) {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.body, u.reading, u.closed, u.ended, u.answered, u.failed = body, false, false, body.Done(), false, nil
}

func (u *upload) read(p []byte) (int, error) {
	u.mu.Lock()
	closed, ended, failed := u.closed, u.ended, u.failed
	u.failed = nil
	u.reading = !closed && !ended && failed == nil
	u.mu.Unlock()
	switch {
	case ended:
		return 0, io.EOF
	case closed:
		return 0, errUploadClosed
	case failed != nil:
		return 0, failed
	}
	n, err := u.body.Read(p)
	u.mu.Lock()
	defer u.mu.Unlock()
	u.reading, u.ended = false, err == io.EOF
	if err != nil && err != io.EOF && u.closed {
		err = errUploadClosed
	}
	return n, err
}

// fill is read into a pipe. before is called before it waits for the client.
func (u *upload) fill(pipe *socket.Pipe, conn net.Conn, least int64, before func() error) int {
	u.mu.Lock()
	u.reading = !u.closed && !u.ended && u.body.Fills(least)
	reading := u.reading
	u.mu.Unlock()
	if !reading {
		return 0
	}
	n, err := 0, before()
	if err == nil {
		n, err = u.body.Fill(pipe, conn, least)
	}
	u.mu.Lock()
	defer u.mu.Unlock()
	u.reading, u.ended = false, u.body.Done()
	if err != io.EOF { // of which the next read makes what it is
		u.failed = err
	}
	return n
}

// here reports whether the rest of the body has come already.
func (u *upload) here() bool {
	u.mu.Lock()
	defer u.mu.Unlock()
	return u.ended || !u.reading && !u.closed && u.body.Here()
}

// skip reads the rest of a body that is here.
func (u *upload) skip() bool {
	if !u.ended {
		_, err := io.Copy(io.Discard, u.body)
		return err == nil
	}
	return true
}

// waitForBody makes ready for a read of the body that may have to wait for the
// client.
func (x *wireExchange) waitForBody() error {
	if err := x.sendContinue(); err != nil {
		return err
	}
	x.upload.mu.Lock()
	defer x.upload.mu.Unlock()
	if x.upload.closed {
		return errUploadClosed
	}
	if !x.upload.answered {
		x.conn.limit(time.Now(), x.conn.server.bodyStall)
	}
	return nil
}

// liftLimit lets the client take its time with what is left of the body, now
// that the response has begun: both may go on for as long as the target likes.
func (x *wireExchange) liftLimit() {
	x.upload.mu.Lock()
	defer x.upload.mu.Unlock()
	if !x.upload.ended && !x.upload.closed {
		x.upload.answered = true
		x.conn.setReadDeadline(time.Time{})
	}
}

// sendContinue asks for the body, if the client waits for that (RFC 9110,
// section 10.1.1).
func (x *wireExchange) sendContinue() error {
	x.interim.Lock()
	defer x.interim.Unlock()
	if !x.expects {
		return nil
	}
	x.expects = false
	_, err := io.WriteString(x.conn.stream, "HTTP/1.1 100 Continue\r\n\r\n")
	return err
}

var longAgo = time.Unix(1, 0)

// uploadTicket is a ticket as its request's Body.
type uploadTicket ticket

var _ exchange.Source = (*uploadTicket)(nil)

// Read implements io.Reader. The error is *http1.Error for a malformed body,
// os.ErrDeadlineExceeded for one that stalls, io.ErrUnexpectedEOF if the client
// leaves.
func (t *uploadTicket) Read(p []byte) (int, error) { return t.upload.read(p) }

// Fill implements exchange.Source.
func (t *uploadTicket) Fill(pipe *socket.Pipe, least int64) int {
	c := t.conn
	if c.stream != c.socket || socket.TCP(c.socket) == nil || c.inlet.has() {
		return 0
	}
	return t.upload.fill(pipe, c.socket, least, c.beforeRead)
}

// Close makes a Read return, and all that follow. It may come from any
// goroutine, at any time.
func (t *uploadTicket) Close() error {
	t.presence.mu.Lock()
	defer t.presence.mu.Unlock()
	if t.presence.conn == nil || t.presence.number != t.number {
		return nil
	}
	t.upload.mu.Lock()
	defer t.upload.mu.Unlock()
	if !t.upload.ended {
		t.upload.closed = true
		t.presence.conn.setReadDeadline(longAgo)
	}
	return nil
}
