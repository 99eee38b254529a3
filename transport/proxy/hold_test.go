package proxy

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"

	"kamal-proxy/actors/service"
	"kamal-proxy/transport/exchange"
	"kamal-proxy/transport/upstream"
)

// A response is held where its length is known or limited; any other goes out
// as it comes.
func TestHowResponsesAreKept(t *testing.T) {
	for _, c := range []struct {
		name      string
		buffering bool
		limit     int64
		length    int64
		fields    []string
		held      bool
		told      int64 // the length
	}{
		{"known length", true, 0, 6, nil, true, 6},
		{"known length and a limit", true, 100, 6, nil, true, 6},
		{"unknown length", true, 0, -1, nil, false, -1},
		{"unknown length and a limit", true, 100, -1, []string{"Trailer", "X-Sum"}, true, 6},
		{"events", true, 100, -1, []string{"Content-Type", "text/event-stream"}, false, -1},
		{"no buffering", false, 3, 6, nil, false, 6},
		{"no buffering, unknown length", false, 3, -1, nil, false, -1},
	} {
		var x *fakeExchange
		reads := 0
		s := bufferingStage(t, &fakeTarget{answer: func(context.Context, func(int, exchange.Header) error) (*exchange.Response, error) {
			return &exchange.Response{Status: 200, ContentLength: c.length, Header: header(c.fields...), Body: readerFunc(func(p []byte) (int, error) {
				if reads++; reads > 2 {
					return 0, io.EOF
				}
				if c.held != (x.status == 0) {
					t.Errorf("%s: read %d comes while the client has status %d", c.name, reads, x.status)
				}
				return copy(p, "abc"), nil
			})}, nil
		}})
		s.policy.TargetOptions.BufferResponses, s.policy.TargetOptions.MaxResponseBodySize = c.buffering, c.limit
		x = newExchange("GET", "/")
		entry := s.serve(t, x)
		expect(t, c.name+": body", x.body.String(), "abcabc")
		expect(t, c.name+": length", x.length, c.told)
		expect(t, c.name+": Trailer", x.header.Has("Trailer"), false)
		expect(t, c.name+": logged bytes", entry.RespContentLength, 6)
	}
}

func TestResponseLimits(t *testing.T) {
	const limit = 1000
	for _, buffering := range []bool{true, false} {
		for _, chunked := range []bool{false, true} {
			for size := int64(limit - 1); size <= limit+1; size++ {
				name := fmt.Sprintf("buffering %v, chunked %v, %d bytes", buffering, chunked, size)
				length := size
				if chunked {
					length = -1
				}
				target := answers(200, strings.Repeat("x", int(size)), length, "Set-Cookie", "a=b", "Content-Type", "text/plain")
				s := bufferingStage(t, target)
				s.policy.TargetOptions.BufferResponses, s.policy.TargetOptions.MaxResponseBodySize = buffering, limit
				x := newExchange("GET", "/")
				entry := s.serve(t, x)
				expect(t, name+": closed responses", target.closed, 1)
				expect(t, name+": aborted", x.aborted, false)
				if tooLarge := buffering && size > limit; !tooLarge {
					expect(t, name+": status", x.status, 200)
					expect(t, name+": bytes", x.body.Len(), int(size))
					continue
				}
				expect(t, name+": status", x.status, 500)
				expect(t, name+": page", strings.Contains(x.body.String(), "500"), true)
				expect(t, name+": target's header on the page", x.header.Has("Set-Cookie"), false)
				expect(t, name+": logged", fmt.Sprint(entry.Status, entry.RespContentType), "500text/html; charset=utf-8")
				expect(t, name+": told", strings.Contains(s.log.String(), "--max-response-body"), true)
			}
		}
	}
}

func TestHeldResponseThatFails(t *testing.T) {
	for name, c := range map[string]struct {
		fail   func(s *stage, x *fakeExchange) error
		status int
		logged int
	}{
		"by the target": {func(*stage, *fakeExchange) error { return upstream.ErrBroken }, 502, 502},
		"by its end":    {func(*stage, *fakeExchange) error { return io.ErrUnexpectedEOF }, 502, 502},
		"by a drain":    {func(s *stage, _ *fakeExchange) error { s.cut(service.ErrDrained); return errors.New("closed") }, 504, 504},
		"by the client": {func(_ *stage, x *fakeExchange) error { x.leave(); return errors.New("closed") }, 0, 499},
	} {
		var s *stage
		x := newExchange("GET", "/")
		target := halfway(&s, func(s *stage) error { return c.fail(s, x) })
		s = bufferingStage(t, target)
		entry := s.serve(t, x)
		expect(t, name+": status", x.status, c.status)
		expect(t, name+": half a body", strings.Contains(x.body.String(), "half"), false)
		expect(t, name+": aborted", x.aborted, c.status == 0)
		expect(t, name+": logged", entry.Status, c.logged)
		expect(t, name+": closed", target.closed, 1)
	}
}

// What is done when a part of the response reaches the client.
func TestTargetIsFreeBeforeTheClientHasItAll(t *testing.T) {
	for name, length := range map[string]int64{"held": 6, "streamed": -1} {
		for _, buffering := range []bool{true, false} {
			body := strings.NewReader("")
			target := &fakeTarget{answer: func(context.Context, func(int, exchange.Header) error) (*exchange.Response, error) {
				body.Reset("sesame")
				return &exchange.Response{Status: 200, ContentLength: length, Body: &atOnce{body}}, nil
			}}
			s := bufferingStage(t, target)
			s.policy.TargetOptions.BufferResponses = buffering
			x := &watchedExchange{fakeExchange: newExchange("GET", "/")}
			x.onWrite = func() {
				expect(t, name+": goodbyes", s.finished, 1)
				expect(t, name+": closed", target.closed, 1)
				s.cut(service.ErrDrained) // too late for anything
			}
			s.Serve(x)
			x.leave()
			expect(t, name+": goodbyes in the end", s.finished, 1)
			expect(t, name+": body", x.body.String(), "sesame")
			expect(t, name+": aborted", x.aborted, false)
			expect(t, name+": logged", s.entries[0].Status, 200)
		}
	}
}

func TestTargetIsFreeBeforeTheClientHasThePage(t *testing.T) {
	var s *stage
	s = bufferingStage(t, halfway(&s, func(*stage) error { return io.ErrUnexpectedEOF }))
	x := &watchedExchange{fakeExchange: newExchange("GET", "/")}
	x.onWrite = func() { expect(t, "goodbyes", s.finished, 1) }
	s.Serve(x)
	x.leave()
	expect(t, "status", x.status, 502)
	expect(t, "goodbyes in the end", s.finished, 1)
}

// The client takes no more while another goroutine waits for the target.
func TestClientThatTakesNoMoreStopsTheTarget(t *testing.T) {
	waiting := make(chan struct{})
	parts := 0
	s := bufferingStage(t, nil)
	s.verdict.Target = &fakeTarget{answer: func(ctx context.Context, _ func(int, exchange.Header) error) (*exchange.Response, error) {
		return &exchange.Response{Status: 200, ContentLength: -1, Body: readerFunc(func(p []byte) (int, error) {
			if parts++; parts == 1 {
				return copy(p, "part"), nil
			}
			close(waiting)
			<-ctx.Done()
			return 0, context.Cause(ctx)
		})}, nil
	}}
	x := &watchedExchange{fakeExchange: newExchange("GET", "/")}
	x.onWrite = func() { within(t, "the target is waited for", waiting); x.writeErr = errors.New("broken pipe") }
	served := make(chan struct{})
	go func() { defer close(served); s.Serve(x) }()
	within(t, "the request ends", served)
	x.leave()
	expect(t, "goodbyes", s.finished, 1)
	expect(t, "aborted", x.aborted, true)
	expect(t, "warnings", s.log.String(), "")
}

// atOnce gives the last bytes together with the end, as messages do.
type atOnce struct{ *strings.Reader }

func (a *atOnce) Read(p []byte) (int, error) {
	n, err := a.Reader.Read(p)
	if err == nil && a.Len() == 0 {
		err = io.EOF
	}
	return n, err
}

func (*atOnce) Ready() bool { return true }

// watchedExchange calls onWrite with each Write.
type watchedExchange struct {
	*fakeExchange
	onWrite func()
}

func (x *watchedExchange) Write(p []byte) (int, error) {
	x.onWrite()
	return x.fakeExchange.Write(p)
}

func TestResponseTrailersWithBuffering(t *testing.T) {
	for name, limit := range map[string]int64{"streamed": 0, "held": 100} {
		buffer := []byte("X-Sum7")
		s := bufferingStage(t, nil)
		s.verdict.Target = closes{&fakeTarget{answer: func(context.Context, func(int, exchange.Header) error) (*exchange.Response, error) {
			return &exchange.Response{
				Status: 200, ContentLength: -1, Header: header("Trailer", "X-Sum"), Body: strings.NewReader("abc"),
				Trailer: func() exchange.Header {
					return header(unsafeString(buffer[:5]), unsafeString(buffer[5:]), "Content-Length", "9", "X-B", "8")
				},
			}, nil
		}}, func() { copy(buffer, "!!!!!!") }}
		s.policy.TargetOptions.MaxResponseBodySize = limit
		x := newExchange("GET", "/")
		s.serve(t, x)
		expect(t, name+": body", x.body.String(), "abc")
		expect(t, name+": length", x.length, -1)
		expect(t, name+": Trailer", x.header.Get("Trailer"), "X-Sum")
		expect(t, name+": trailers", fmt.Sprint(x.trailer), "[{X-Sum 7} {X-B 8}]")
	}
}

// closes is a target whose responses' buffers are used again once they are
// closed.
type closes struct {
	*fakeTarget
	then func()
}

func (c closes) Send(ctx context.Context, r *exchange.Request, interim func(int, exchange.Header) error) (*exchange.Response, error) {
	response, err := c.fakeTarget.Send(ctx, r, interim)
	if response != nil {
		response.Close = func() error { c.then(); return nil }
	}
	return response, err
}

func TestNotesOutliveTheResponse(t *testing.T) {
	buffer := []byte("text/plainmiss")
	s := bufferingStage(t, nil)
	s.policy.TargetOptions.LogResponseHeaders = []string{"X-Cache"}
	s.verdict.Target = closes{
		answers(200, "abc", 3, "Content-Type", unsafeString(buffer[:10]), "X-Cache", unsafeString(buffer[10:])),
		func() { copy(buffer, "!!!!!!!!!!!!!!") },
	}
	entry := s.serve(t, newExchange("GET", "/"))
	expect(t, "logged type", entry.RespContentType, "text/plain")
	expect(t, "logged header", entry.Headers[0].Value, "miss")
}

func TestPanicsWithBuffering(t *testing.T) {
	large := strings.Repeat("x", 3<<20) // on disk
	broken := func() *fakeTarget {
		return &fakeTarget{answer: func(context.Context, func(int, exchange.Header) error) (*exchange.Response, error) {
			return &exchange.Response{Status: 200, ContentLength: 3 << 20, Body: readerFunc(func([]byte) (int, error) { panic("odd body") })}, nil
		}}
	}
	for _, c := range []struct {
		name, panics string
		target       service.Upstream
		status       int // sent
	}{
		{"upload", "", answers(200, large, 3<<20), 500},
		{"respond", "respond", answers(200, large, 3<<20), 0},
		{"write of what was held", "write", answers(200, large, 3<<20), 200},
		{"write of a stream", "write", answers(200, large, -1), 200},
		{"flush of a stream", "flush", answers(200, large, -1), 200},
		{"held body", "", broken(), 500},
		{"close", "", closes{answers(200, large, 3<<20), func() { panic("odd close") }}, 200},
	} {
		s := bufferingStage(t, c.target)
		x := newExchange("POST", "/").upload(strings.NewReader(large), 3<<20)
		if c.name == "upload" {
			x.request.Body = io.MultiReader(strings.NewReader(large[:2<<20]), readerFunc(func([]byte) (int, error) { panic("odd upload") }))
		}
		x.panics = c.panics
		s.serve(t, x) // says goodbye once
		if c.panics != "respond" {
			expect(t, c.name+": status", x.status, c.status)
		}
		expect(t, c.name+": told", strings.Contains(s.log.String(), "Request panicked"), true)
	}
}
