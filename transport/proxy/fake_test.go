package proxy

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"kamal-proxy/actors/service"
	"kamal-proxy/transport/accesslog"
	"kamal-proxy/transport/exchange"
)

// fakeExchange is a client in memory.
type fakeExchange struct {
	request exchange.Request
	ctx     context.Context
	leave   context.CancelFunc

	status   int
	header   exchange.Header
	length   int64
	body     bytes.Buffer
	interims []int
	hints    exchange.Header // of the last interim response
	trailer  exchange.Header
	steps    []string // what was called, in order
	aborted  bool
	writeErr error
	panics   string // the method that panics
	client   exchange.Tunnel
	upgrade  error
}

func newExchange(method, target string, fields ...string) *fakeExchange {
	path, query, hasQuery := strings.Cut(target, "?")
	x := &fakeExchange{request: exchange.Request{
		Method: method, Target: target, Path: path, Query: query, HasQuery: hasQuery,
		Authority: "example.com", Scheme: "http", Proto: "HTTP/1.1",
		Header: header(fields...), Body: strings.NewReader(""),
		Client: netip.MustParseAddrPort("127.0.0.1:4242"), Port: 8080,
	}}
	x.ctx, x.leave = context.WithCancel(context.Background())
	return x
}

// header makes one of names and values in turn.
func header(fields ...string) exchange.Header {
	var h exchange.Header
	for i := 0; i < len(fields); i += 2 {
		h.Add(fields[i], fields[i+1])
	}
	return h
}

func (x *fakeExchange) did(step string) {
	x.steps = append(x.steps, step)
	if x.panics == step {
		panic(step + " panics")
	}
}

func (x *fakeExchange) Request() *exchange.Request { return &x.request }
func (x *fakeExchange) Context() context.Context   { return x.ctx }
func (x *fakeExchange) Inform(status int, h exchange.Header) error {
	x.did("inform")
	x.interims, x.hints = append(x.interims, status), slices.Clone(h)
	return x.writeErr
}
func (x *fakeExchange) Respond(status int, h exchange.Header, length int64) error {
	x.did("respond")
	x.status, x.header, x.length = status, slices.Clone(h), length
	return x.writeErr
}
func (x *fakeExchange) Write(p []byte) (int, error) {
	x.did("write")
	if x.writeErr != nil {
		return 0, x.writeErr
	}
	return x.body.Write(p)
}
func (x *fakeExchange) Flush() error { x.did("flush"); return x.writeErr }
func (x *fakeExchange) Trail(h exchange.Header) error {
	x.did("trail")
	x.trailer = slices.Clone(h)
	return x.writeErr
}
func (x *fakeExchange) Upgrade(h exchange.Header) (exchange.Tunnel, error) {
	x.did("upgrade")
	if x.upgrade != nil {
		return nil, x.upgrade
	}
	x.header = slices.Clone(h)
	return x.client, nil
}
func (x *fakeExchange) Abort()             { x.aborted = true }
func (x *fakeExchange) Sent() (int, int64) { return x.status, int64(x.body.Len()) }

// fakeTarget is a target in memory.
type fakeTarget struct {
	got      exchange.Request // as it was sent, with its own header
	received string           // the body
	trailer  exchange.Header  // behind it
	answer   func(ctx context.Context, interim func(int, exchange.Header) error) (*exchange.Response, error)
	closed   int
}

func (t *fakeTarget) Close() {}

func (t *fakeTarget) Send(ctx context.Context, r *exchange.Request, interim func(int, exchange.Header) error) (*exchange.Response, error) {
	t.got = *r
	t.got.Header = slices.Clone(r.Header)
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return nil, err
	}
	t.received = string(body)
	if r.Trailer != nil {
		t.trailer = r.Trailer()
	}
	response, err := t.answer(ctx, interim)
	if response != nil {
		response.Close = func() error { t.closed++; return nil }
	}
	return response, err
}

// answers makes a target that gives one response. length as in Response.
func answers(status int, body string, length int64, fields ...string) *fakeTarget {
	return &fakeTarget{answer: func(context.Context, func(int, exchange.Header) error) (*exchange.Response, error) {
		return &exchange.Response{
			Status: status, Header: header(fields...), Body: strings.NewReader(body), ContentLength: length,
		}, nil
	}}
}

func fails(err error) *fakeTarget {
	return &fakeTarget{answer: func(context.Context, func(int, exchange.Header) error) (*exchange.Response, error) {
		return nil, err
	}}
}

// stage is a Proxy and what is around it.
type stage struct {
	*Proxy
	verdict service.Verdict
	policy  service.Policy
	lease   service.Lease
	asked   service.Facts
	cut     func(error)
	crowd   bool              // many ask at once
	held    bool              // questions are not answered
	again   []string          // how requests failed that were to be sent again
	others  []service.Verdict // where to
	given   []*service.Lease  // with these

	mu       sync.Mutex
	entries  []accesslog.Entry
	counts   []string
	finished int
	tunnels  int
	left     int
	log      bytes.Buffer
}

// newStage makes a Proxy whose every request is forwarded to target.
func newStage(target service.Upstream) *stage {
	s := &stage{}
	s.verdict = service.Verdict{
		Action: service.Forward, Service: "app", Policy: &s.policy,
		Target: target, TargetName: "web:80", Lease: &s.lease,
	}
	s.Proxy = New(Config{Ask: s.ask, Leave: s.leave, Log: s, Metrics: s, Logger: zerolog.New(&s.log)})
	s.await = s.answer
	s.Proxy.again = func(l *service.Lease, r *service.Route, why string, unsent bool) {
		s.again = append(s.again, fmt.Sprint(why, " ", unsent))
		s.asked = r.Facts
	}
	s.finish = func(l *service.Lease) { s.goodbye(&s.finished, l) }
	s.upgraded = func(l *service.Lease) { s.goodbye(&s.tunnels, l) }
	return s
}

func (s *stage) ask(r *service.Route) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.asked, s.cut = r.Facts, r.Cut
}

// answer is the service's: its verdict at once, or what becomes of a question
// that it does not answer.
func (s *stage) answer(r *service.Route, ctx context.Context, leave func(*service.Route)) (service.Verdict, error) {
	switch {
	case s.held:
		return r.Await(ctx, leave)
	case len(s.again) == 0:
		return s.leased(), nil
	case len(s.others) == 0:
		return service.Verdict{Status: 502}, nil
	}
	next := s.others[0]
	s.others = s.others[1:]
	return next, nil
}

// leased is the verdict, in a crowd with a lease of its own.
func (s *stage) leased() service.Verdict {
	v := s.verdict
	if s.crowd && v.Lease != nil {
		s.mu.Lock()
		defer s.mu.Unlock()
		v.Lease = &service.Lease{}
		s.given = append(s.given, v.Lease)
	}
	return v
}

func (s *stage) leave(*service.Route) { s.left++ }

func (s *stage) goodbye(count *int, l *service.Lease) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if l != &s.lease && !slices.Contains(s.given, l) {
		panic("a lease that is not this request's")
	}
	*count++
}

// Log, Begin and End implement AccessLog and Metrics.
func (s *stage) Log(e *accesslog.Entry) {
	s.mu.Lock()
	defer s.mu.Unlock()
	entry := *e
	entry.Headers = slices.Clone(e.Headers)
	s.entries = append(s.entries, entry)
}

func (s *stage) Begin(service string) { s.counted("begin " + service) }

func (s *stage) Retry(service string) { s.counted("retry " + service) }

func (s *stage) End(service, method string, status int, d time.Duration) {
	s.counted("end " + service + " " + method)
}

func (s *stage) counted(what string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.counts = append(s.counts, what)
}

// serve lets a request through and checks what holds for all of them.
func (s *stage) serve(t *testing.T, x *fakeExchange) accesslog.Entry {
	t.Helper()
	defer x.leave()
	s.mu.Lock()
	s.finished, s.entries, s.again = 0, nil, nil
	s.mu.Unlock()
	s.Serve(x)
	if want := map[bool]int{true: 1}[s.verdict.Lease != nil && !s.held]; s.finished != want {
		t.Errorf("goodbye was said %d times, want %d", s.finished, want)
	}
	if len(s.entries) != 1 {
		t.Fatalf("%d lines were logged, want 1", len(s.entries))
	}
	return s.entries[0]
}

func expect[T comparable](t testing.TB, what string, got, want T) {
	t.Helper()
	if got != want {
		t.Errorf("%s is %v, want %v", what, got, want)
	}
}
