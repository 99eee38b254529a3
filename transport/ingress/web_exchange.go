package ingress

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"time"

	"kamal-proxy/transport/crash"
	"kamal-proxy/transport/exchange"
)

var (
	errAborted  = errors.New("the response was broken off")
	errNoHead   = errors.New("the response has no head yet")
	errHeadSent = errors.New("the response has a head already")
)

// webExchange is an exchange on net/http's interface: HTTP/2, and HTTP/3. It is
// made anew for each request, so that an Abort that comes too late meets none
// but its own; its lists are pooled.
type webExchange struct {
	ctx     context.Context
	web     *webHandler
	w       http.ResponseWriter
	r       *http.Request
	request exchange.Request
	lists   *lists

	status int
	length int64 // as told to Respond
	sent   int64

	mu      sync.Mutex // guards the rest, for Abort
	aborted bool
	over    bool
}

func newWebExchange(ctx context.Context, h *webHandler, w http.ResponseWriter, r *http.Request, target string, p peer) *webExchange {
	e := &webExchange{ctx: ctx, web: h, w: w, r: r, lists: takeLists()}
	path, query, hasQuery := strings.Cut(target, "?")
	e.request = exchange.Request{
		Method: r.Method, Target: target, Path: path, Query: query, HasQuery: hasQuery,
		Authority: r.Host, Scheme: p.scheme, Proto: r.Proto, Header: requestHeader(e.lists.fields, r),
		ContentLength: r.ContentLength, Body: r.Body, Trailer: e.requestTrailer,
		Client: p.client, Port: p.port,
	}
	return e
}

func (e *webExchange) requestTrailer() exchange.Header {
	return sorted(appendFields(nil, e.r.Trailer))
}

// Request implements exchange.Exchange, as do all that follow.
func (e *webExchange) Request() *exchange.Request { return &e.request }

func (e *webExchange) Context() context.Context { return e.ctx }

func (e *webExchange) Inform(status int, header exchange.Header) error {
	switch {
	case e.status != 0:
		return errHeadSent
	case status < 100 || status > 199 || status == http.StatusSwitchingProtocols:
		return fmt.Errorf("status %d is not an interim one", status)
	}
	h := e.w.Header()
	e.lists.fill(h, header)
	h["Content-Length"] = nil // not sent, and makes net/http take a copy of the map before it is cleared
	e.w.WriteHeader(status)
	clear(h)
	return e.broken()
}

func (e *webExchange) Respond(status int, header exchange.Header, length int64) error {
	if e.status != 0 {
		return errHeadSent
	}
	if status < 200 || status > 999 {
		return fmt.Errorf("status %d is not a final one", status)
	}
	h := e.w.Header()
	e.lists.fill(h, header)
	e.frame(h, status, length)
	e.web.announce(h)
	e.status, e.length = status, length
	e.w.WriteHeader(status)
	clear(h) // net/http has its own copy; what is added from now on are trailers
	return e.broken()
}

func (e *webExchange) Write(p []byte) (int, error) {
	if e.status == 0 {
		return 0, errNoHead
	}
	if e.bodyless() {
		return len(p), e.broken()
	}
	n, err := e.w.Write(p)
	e.sent += int64(n)
	return n, err
}

func (e *webExchange) Flush() error {
	if e.status == 0 {
		return errNoHead
	}
	return e.w.(interface{ FlushError() error }).FlushError()
}

func (e *webExchange) Trail(trailer exchange.Header) error {
	if e.status == 0 {
		return errNoHead
	}
	if len(trailer) == 0 || e.bodyless() {
		return e.broken()
	}
	// A head that has not been sent yet would be sent as that of a body
	// without trailers.
	err := e.Flush()
	h := e.w.Header()
	for _, f := range trailer {
		if mayTrail(f.Name) {
			h.Add(http.TrailerPrefix+http.CanonicalHeaderKey(f.Name), strings.Clone(f.Value)) // written after this returns
		}
	}
	return err
}

func (e *webExchange) Upgrade(exchange.Header) (exchange.Tunnel, error) {
	if e.status != 0 {
		return nil, errHeadSent
	}
	return nil, exchange.ErrNoUpgrade
}

func (e *webExchange) Abort() {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.over || e.aborted {
		return
	}
	e.aborted = true
	e.reset()
}

func (e *webExchange) Sent() (int, int64) { return e.status, e.sent }

// reset resets the stream: in HTTP/2 net/http does that when a deadline passes.
func (e *webExchange) reset() {
	if stream, ok := e.w.(*stream3); ok {
		stream.reset()
		return
	}
	past := time.Unix(1, 0)
	stream := e.w.(interface {
		SetReadDeadline(time.Time) error
		SetWriteDeadline(time.Time) error
	})
	stream.SetReadDeadline(past)
	stream.SetWriteDeadline(past)
}

// broken is the error of a response that cannot be sent any more.
func (e *webExchange) broken() error {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.aborted {
		return errAborted
	}
	return context.Cause(e.ctx)
}

// end is deferred around the Handler. It ends the response, or breaks it off.
func (e *webExchange) end() {
	if cause := recover(); cause != nil {
		e.panicked(cause)
	}
	e.mu.Lock()
	e.over = true
	whole := !e.aborted && e.whole()
	e.mu.Unlock()

	e.lists.give(e.request.Header)
	if !whole {
		panic(http.ErrAbortHandler) // net/http's way to reset
	}
}

func (e *webExchange) panicked(cause any) {
	if cause != http.ErrAbortHandler {
		crash.Caught(e.web.log, cause).
			Str("method", e.request.Method).Str("path", e.request.Path).Msg("Request panicked")
	}
	e.Abort()
}

// whole reports whether all of the response was written.
func (e *webExchange) whole() bool {
	return e.status != 0 && (e.length < 0 || e.bodyless() || e.sent == e.length)
}

// bodyless reports whether a response has no body, whatever is written.
func (e *webExchange) bodyless() bool { return bodyless(e.r.Method, e.status) }
