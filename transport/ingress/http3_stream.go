package ingress

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"kamal-proxy/transport/crash"

	"github.com/quic-go/quic-go/http3"
)

// desk3 is the handler of quic-go's server.
type desk3 struct {
	web         webHandler
	headTimeout time.Duration
	bodyStall   time.Duration
}

// ServeHTTP implements http.Handler.
func (d *desk3) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	defer d.rescue()
	session := sessionOf(r.Context())
	if !session.enter() {
		panic(http.ErrAbortHandler) // resets the stream
	}
	defer session.leave()
	s := newStream3(w.(writer3), r, d.bodyStall)
	defer s.cancel()
	if !s.measure(r, d.headTimeout) {
		panic(http.ErrAbortHandler)
	}
	d.web.serve(s.ctx, s, r, session.peer())
}

// rescue logs a panic that is none of ours and resets the stream.
func (d *desk3) rescue() {
	cause := recover()
	if cause == nil {
		return
	}
	if cause != http.ErrAbortHandler {
		crash.Caught(d.web.log, cause).Msg("Request panicked")
	}
	panic(http.ErrAbortHandler)
}

// writer3 is what quic-go gives to write a response to.
type writer3 interface {
	http.ResponseWriter
	FlushError() error
	SetReadDeadline(time.Time) error
	SetWriteDeadline(time.Time) error
}

// stream3 is quic-go's side of one exchange, made to behave like net/http's:
// WriteHeader takes a copy of the head, reading the body asks for it (100
// Continue), and what is reset ends at once.
type stream3 struct {
	writer3
	ctx    context.Context // ends when the client has gone, or at a reset
	cancel context.CancelFunc
	head   http.Header // of what WriteHeader is to send
	sent   bool        // the final head
	body   io.Reader   // of the request
	stall  time.Duration
	first  []byte // of the body: what measure has read

	mu      sync.Mutex
	expects bool // 100 Continue is still to be sent
	closed  bool // the body
}

func newStream3(w writer3, r *http.Request, stall time.Duration) *stream3 {
	s := &stream3{writer3: w, head: make(http.Header), body: r.Body, stall: stall}
	s.ctx, s.cancel = context.WithCancel(r.Context())
	s.expects = strings.EqualFold(r.Header.Get("Expect"), "100-continue")
	delete(r.Header, "Host") // which is :authority, if both are there
	r.Body = (*body3)(s)
	return s
}

// measure finds out whether a request without Content-Length has a body, which
// HTTP/3 says only at its end. Methods that may well have one are taken to
// have. It returns false if the client does not say.
func (s *stream3) measure(r *http.Request, within time.Duration) bool {
	if r.ContentLength >= 0 || !usuallyBodyless(r.Method) || s.expects {
		return true
	}
	s.SetReadDeadline(time.Now().Add(within))
	first := make([]byte, 1)
	n, err := s.body.Read(first)
	if n == 0 && err == io.EOF {
		r.ContentLength = 0
		return true
	}
	s.first = first[:n]
	return n > 0
}

func usuallyBodyless(method string) bool {
	switch method {
	case http.MethodGet, http.MethodHead, http.MethodDelete, http.MethodOptions, http.MethodTrace, "PROPFIND", "SEARCH":
		return true
	}
	return false
}

// Header returns the head's fields before the final head was written, and the
// trailers' afterwards.
func (s *stream3) Header() http.Header {
	if s.sent {
		return s.writer3.Header()
	}
	return s.head
}

// WriteHeader sends a copy of the head.
func (s *stream3) WriteHeader(status int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	head := s.writer3.Header()
	copyHead(head, s.head)
	if status < 200 {
		s.writer3.WriteHeader(status)
		clear(head)
		return
	}
	if _, ok := head["Content-Length"]; !ok {
		head["Content-Length"] = nil // keeps quic-go from adding one
	}
	s.sent, s.expects = true, false
	if !s.closed { // what is left of the body may take its time
		s.SetReadDeadline(time.Time{})
	}
	s.writer3.WriteHeader(status)
}

// copyHead copies a head's fields, under names in lower case but for those that
// quic-go looks for: it would take a field for a trailer that has the name of
// one. What is about connections is not for HTTP/3 (RFC 9114, section 4.2).
func copyHead(to, from http.Header) {
	for name, values := range from {
		switch name {
		case "Connection", "Keep-Alive", "Proxy-Connection", "Transfer-Encoding", "Upgrade":
			continue
		case "Content-Length", "Content-Type", "Date":
		default:
			name = strings.ToLower(name)
		}
		to[name] = slices.Clone(values)
	}
}

// reset makes reads and writes fail, and ends the exchange's context. quic-go
// resets the stream when the exchange has ended.
func (s *stream3) reset() {
	(*body3)(s).Close()
	s.SetWriteDeadline(longAgo)
	s.cancel()
}

// body3 is a stream3 as its request's Body.
type body3 stream3

var errShortBody = errors.New("the body is shorter than its Content-Length")

// Read implements io.Reader. The error is os.ErrDeadlineExceeded for a body
// that stalls, io.ErrUnexpectedEOF if the client leaves; any other means that
// the message is malformed.
func (b *body3) Read(p []byte) (int, error) {
	if len(b.first) > 0 {
		n := copy(p, b.first)
		b.first = b.first[n:]
		return n, nil
	}
	if err := b.await(); err != nil {
		return 0, err
	}
	n, err := b.body.Read(p)
	var broken *http3.Error
	switch {
	case err == nil, err == io.EOF:
	case err == io.ErrUnexpectedEOF:
		err = errShortBody
	case errors.As(err, &broken):
		err = fmt.Errorf("%w (%w)", io.ErrUnexpectedEOF, err)
	}
	return n, err
}

// await makes ready for a read that may have to wait for the client.
func (b *body3) await() error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.closed {
		return errUploadClosed
	}
	if b.expects {
		b.expects = false
		b.writer3.WriteHeader(http.StatusContinue)
	}
	if b.sent {
		return nil
	}
	return b.SetReadDeadline(time.Now().Add(b.stall))
}

// Close makes a Read return, and all that follow. It may come from any
// goroutine, at any time. The client is told that its body is not wanted when
// the exchange ends, and not in a way that it takes for a failure.
func (b *body3) Close() error {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.closed = true
	return b.SetReadDeadline(longAgo)
}
