package proxy

import (
	"context"
	"fmt"
	"io"
	"regexp"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"kamal-proxy/actors/service"
	"kamal-proxy/actors/spec"
	"kamal-proxy/transport/exchange"
	"kamal-proxy/transport/upstream"
)

func TestForwardsARequestAndItsResponse(t *testing.T) {
	target := answers(201, "hello", 5, "Content-Length", "5", "X-App", "yes")
	s := newStage(target)
	x := newExchange("POST", "/a?b=c;d", "Content-Length", "3", "Accept", "*/*")
	x.request.Body, x.request.ContentLength = strings.NewReader("abc"), 3
	entry := s.serve(t, x)

	expect(t, "target's request", target.got.Method+" "+target.got.Target, "POST /a?b=c;d")
	expect(t, "target's body", target.received, "abc")
	expect(t, "Host", target.got.Authority, "example.com")
	expect(t, "status", x.status, 201)
	expect(t, "body", x.body.String(), "hello")
	expect(t, "length", x.length, 5)
	expect(t, "X-App", x.header.Get("X-App"), "yes")
	expect(t, "Content-Type", x.header.Has("Content-Type"), false)
	expect(t, "steps", strings.Join(x.steps, " "), "respond write")
	expect(t, "closed responses", target.closed, 1)
	expect(t, "logged status", entry.Status, 201)
	expect(t, "counts", strings.Join(s.counts, ", "), "begin app, end app POST")
}

func TestFactsOfTheQuestion(t *testing.T) {
	s := newStage(answers(200, "", 0))
	x := newExchange("PATCH", "/a%2Fb?x", "Cookie", `a=b; kamal-writer=17;kamal-rollout="me"`)
	x.request.Authority, x.request.Scheme, x.request.Upgrade = "Example.COM:8443", "https", "websocket"
	s.serve(t, x)
	want := service.Facts{
		Host: "example.com", Path: "/a%2Fb", Method: "PATCH", TLS: true, Upgrade: true, Writer: "17", Rollout: "me",
	}
	expect(t, "facts", s.asked, want)
}

func TestFactsAreCopies(t *testing.T) {
	s := newStage(answers(200, "", 0))
	s.held = true
	x := newExchange("GET", "/")
	buffer := []byte("BREW/pathkamal-writer=1; kamal-rollout=2")
	text := unsafeString(buffer)
	x.request.Method, x.request.Path, x.request.Target = text[:4], text[4:9], text[4:9]
	x.request.Header = exchange.Header{{Name: "Cookie", Value: text[9:]}}
	x.request.Authority = ""
	x.leave()
	s.serve(t, x)
	for i := range buffer {
		buffer[i] = '!'
	}
	expect(t, "facts", s.asked, service.Facts{Path: "/path", Method: "BREW", Writer: "1", Rollout: "2"})
}

func TestRequestIDAndStart(t *testing.T) {
	target := answers(200, "", 0)
	s := newStage(target)
	before := time.Now().UnixMilli()
	entry := s.serve(t, newExchange("GET", "/"))
	id := target.got.Header.Get("X-Request-ID")
	if !regexp.MustCompile(`^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$`).MatchString(id) {
		t.Errorf("X-Request-ID is %q, no UUID of version 4", id)
	}
	expect(t, "logged id", entry.RequestID, id)
	var start int64
	fmt.Sscanf(target.got.Header.Get("X-Request-Start"), "t=%d", &start)
	if start < before || start > time.Now().UnixMilli() {
		t.Errorf("X-Request-Start is %q", target.got.Header.Get("X-Request-Start"))
	}

	entry = s.serve(t, newExchange("GET", "/", "x-request-id", "mine", "X-REQUEST-START", "t=1"))
	expect(t, "kept id", strings.Join(target.got.Header.Values("X-Request-ID"), "|"), "mine")
	expect(t, "logged id", entry.RequestID, "mine")
	expect(t, "kept start", strings.Join(target.got.Header.Values("X-Request-Start"), "|"), "t=1")
}

func TestRequestIDsDiffer(t *testing.T) {
	seen := map[string]bool{}
	for range 10_000 {
		seen[string(appendRequestID(nil))] = true
	}
	expect(t, "different ids", len(seen), 10_000)
}

func TestVerdictsWithoutATarget(t *testing.T) {
	for _, c := range []struct {
		verdict  service.Verdict
		status   int
		contains string
		retry    string
	}{
		{service.Verdict{Status: 404}, 404, "404 Not Found", ""},
		{service.Verdict{Status: 503, Service: "app", Message: "back <soon>", RetryAfter: 1500 * time.Millisecond}, 503, "back &lt;soon&gt;", "2"},
		{service.Verdict{Status: 504, Service: "app"}, 504, "504 Gateway Timeout", ""},
	} {
		s := newStage(nil)
		s.verdict = c.verdict
		x := newExchange("GET", "/")
		entry := s.serve(t, x)
		expect(t, "status", x.status, c.status)
		expect(t, "type", x.header.Get("Content-Type"), "text/html; charset=utf-8")
		expect(t, "Retry-After", x.header.Get("Retry-After"), c.retry)
		expect(t, "length", x.length, int64(x.body.Len()))
		if !strings.Contains(x.body.String(), c.contains) {
			t.Errorf("the page for %d lacks %q", c.status, c.contains)
		}
		expect(t, "logged status", entry.Status, c.status)
		expect(t, "logged service", entry.Service, c.verdict.Service)
		expect(t, "counts", len(s.counts), map[bool]int{true: 2}[c.verdict.Service != ""])
	}
}

func TestHealthyWhileHeldHasNoPage(t *testing.T) {
	s := newStage(nil)
	s.verdict = service.Verdict{Status: 200, Service: "app"}
	x := newExchange("GET", "/up")
	s.serve(t, x)
	expect(t, "answer", fmt.Sprint(x.status, x.header, x.length, x.body.Len()), "200 [] 0 0")
}

func TestRedirects(t *testing.T) {
	for _, c := range []struct{ host, target, want string }{
		{"example.com", "/a%2Fb?c=d;e", "https://example.com/a%2Fb?c=d;e"},
		{"example.com", "//evil.com", "https://example.com//evil.com"},
		{"example.com", "/x?", "https://example.com/x?"},
		{"example.com", "*", "https://example.com/"},
		{"::1", "/", "https://[::1]/"},
	} {
		s := newStage(nil)
		s.verdict = service.Verdict{Action: service.Redirect, Scheme: "https", Host: c.host, Service: "app"}
		x := newExchange("POST", c.target)
		s.serve(t, x)
		expect(t, "status", x.status, 301)
		expect(t, "Location", x.header.Get("Location"), c.want)
		expect(t, "Connection", x.header.Get("Connection"), "close")
	}
}

func TestConnectIsRefused(t *testing.T) {
	s := newStage(answers(200, "", 0))
	s.verdict.Lease = nil // no question is asked, so none is given
	x := newExchange("CONNECT", "other.example:443")
	s.serve(t, x)
	expect(t, "status", x.status, 501)
	expect(t, "asked for", s.asked.Path, "")
}

func TestPanicsCostOneRequest(t *testing.T) {
	boom := &fakeTarget{answer: func(context.Context, func(int, exchange.Header) error) (*exchange.Response, error) {
		panic("boom")
	}}
	s := newStage(boom)
	x := newExchange("GET", "/")
	entry := s.serve(t, x)
	expect(t, "status", x.status, 500)
	expect(t, "logged status", entry.Status, 500)
	for _, part := range []string{"boom", "proxy_test.go", entry.RequestID} {
		if !strings.Contains(s.log.String(), part) {
			t.Errorf("the log of a panic lacks %q", part)
		}
	}

	s = newStage(answers(200, "hello", 5))
	x = newExchange("GET", "/")
	x.panics = "write"
	entry = s.serve(t, x)
	expect(t, "status after the head", x.status, 200)
	expect(t, "logged status after the head", entry.Status, 500)
	expect(t, "aborted after the head", x.aborted, true)

	s = newStage(boom)
	x = newExchange("GET", "/")
	x.panics = "respond" // the page for the panic panics, too
	s.serve(t, x)
	expect(t, "aborted without a page", x.aborted, true)
}

func TestInterimResponsesLeakNothing(t *testing.T) {
	target := &fakeTarget{answer: func(_ context.Context, interim func(int, exchange.Header) error) (*exchange.Response, error) {
		interim(100, nil)
		interim(103, header("Link", "</a.css>", "Connection", "X-Hop", "X-Hop", "1"))
		return &exchange.Response{Status: 404, Header: header("X-App", "1"), Body: strings.NewReader("")}, nil
	}}
	s := newStage(target)
	x := newExchange("GET", "/")
	s.serve(t, x)
	expect(t, "interims", fmt.Sprint(x.interims), "[103]")
	expect(t, "hints", fmt.Sprint(x.hints), "[{Link </a.css>}]")
	expect(t, "head", fmt.Sprint(x.status, x.header), "404 [{X-App 1}]")
}

func TestFlushes(t *testing.T) {
	parts := func() io.Reader { return iotest.OneByteReader(strings.NewReader("ab")) }
	for _, c := range []struct {
		name   string
		length int64
		kind   string
		body   io.Reader
		steps  string
	}{
		{"known length", 2, "text/html", parts(), "respond write write"},
		{"unknown length", -1, "text/html", parts(), "respond flush write flush write flush"},
		{"its end comes along", -1, "", iotest.DataErrReader(strings.NewReader("ab")), "respond flush write"},
		{"events of known length", 2, "text/event-stream; charset=utf-8", parts(), "respond flush write flush write flush"},
		{"a body that does not wait", -1, "", &ready{Reader: parts()}, "respond write write"},
		{"a known length that comes slowly", 2, "", slow{parts()}, "respond flush write flush write flush"},
		{"no body", 0, "", strings.NewReader(""), "respond"},
	} {
		target := &fakeTarget{answer: func(context.Context, func(int, exchange.Header) error) (*exchange.Response, error) {
			return &exchange.Response{Status: 200, Header: header("Content-Type", c.kind), Body: c.body, ContentLength: c.length}, nil
		}}
		s := newStage(target)
		x := newExchange("GET", "/")
		s.serve(t, x)
		expect(t, c.name, strings.Join(x.steps, " "), c.steps)
	}
}

type ready struct{ io.Reader }

func (*ready) Ready() bool { return true }

func (*ready) Await(time.Duration) bool { return true }

type slow struct{ io.Reader }

func (slow) Ready() bool              { return false }
func (slow) Await(time.Duration) bool { return false }

func TestLengthsAsTheClientIsTold(t *testing.T) {
	for _, c := range []struct {
		method string
		status int
		length int64
		want   int64
	}{
		{"GET", 200, 7, 7}, {"GET", 200, -1, -1}, {"GET", 200, 0, 0}, {"GET", 204, 0, 0},
		{"HEAD", 200, 0, -1}, {"GET", 304, 0, -1},
	} {
		s := newStage(answers(c.status, strings.Repeat("x", max(0, int(c.length))), c.length, "Content-Length", "7"))
		x := newExchange(c.method, "/")
		s.serve(t, x)
		expect(t, fmt.Sprint(c.method, c.status, c.length), x.length, c.want)
		expect(t, "Content-Length", x.header.Get("Content-Length"), "7")
	}
}

func TestTrailersBothWays(t *testing.T) {
	target := answers(200, "x", -1, "Trailer", "X-Sum")
	inner := target.answer
	target.answer = func(ctx context.Context, interim func(int, exchange.Header) error) (*exchange.Response, error) {
		response, err := inner(ctx, interim)
		response.Trailer = func() exchange.Header { return header("X-Sum", "2", "Content-Length", "9") }
		return response, err
	}
	s := newStage(target)
	x := newExchange("POST", "/", "Trailer", "X-Up", "TE", "gzip, trailers")
	x.request.ContentLength, x.request.Body = -1, strings.NewReader("y")
	x.request.Trailer = func() exchange.Header {
		return header("X-Up", "1", "X-Forwarded-For", "1.2.3.4", "transfer-encoding", "chunked", "Host", "x")
	}
	s.serve(t, x)
	expect(t, "trailer up", fmt.Sprint(target.trailer), "[{X-Up 1}]")
	expect(t, "trailer down", fmt.Sprint(x.trailer), "[{X-Sum 2}]")
	expect(t, "announced up", target.got.Header.Get("Trailer"), "X-Up")
	expect(t, "announced down", x.header.Get("Trailer"), "X-Sum")
	expect(t, "TE", target.got.Header.Get("TE"), "trailers")
}

func TestPagesOfTheService(t *testing.T) {
	s := newStage(fails(upstream.ErrUnreachable))
	s.policy.Assets.Pages = loadPages(t, map[string]string{"502.html": "our own"})
	x := newExchange("GET", "/")
	s.serve(t, x)
	expect(t, "page", x.body.String(), "our own")
}

func TestMetricsLeaveOutWhatIsExcluded(t *testing.T) {
	s := newStage(answers(200, "", 0))
	s.verdict.Prefix = "/api"
	s.policy.Options = spec.Options{ExcludeMetricsPaths: []string{"/up"}}
	for target, counted := range map[string]int{"/api/up?x": 0, "/api/up/": 2, "/up": 0, "/api/other": 2} {
		s.counts = nil
		s.serve(t, newExchange("GET", target))
		expect(t, "counts of "+target, len(s.counts), counted)
	}
}
