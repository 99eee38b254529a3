package http2

import (
	"io"
	"slices"
	"strings"
	"testing"

	"golang.org/x/net/http2"

	"kamal-proxy/transport/exchange"
)

// seen is a request as its Handler saw it, whole.
type seen struct {
	exchange.Request
	header, trailer exchange.Header
	body            string
	err             error
}

func record() (handler, <-chan seen) {
	requests := make(chan seen, 16)
	return func(e exchange.Exchange) {
		r := e.Request()
		body, err := io.ReadAll(r.Body)
		requests <- seen{*r, slices.Clone(r.Header), r.Trailer(), string(body), err}
		ok(e)
	}, requests
}

func TestARequestIsReadAsItCame(t *testing.T) {
	h, requests := record()
	c := serve(t, h).dial(t)
	c.request(1, false, ":method", "POST", ":scheme", "https", ":path", "/a;b//%2F?q=c;d", ":authority", "a.example:8443",
		"cookie", "a=1", "x-b", "2", "cookie", "b=2", "x-a", "1", "cookie", "c=3", "te", "trailers", "content-length", "3")
	c.WriteDataPadded(1, false, []byte("ab"), make([]byte, 9))
	c.WriteData(1, false, []byte("c"))
	c.request(1, true, "x-t", "t")
	head, body, _ := c.answer(1)
	if head.get(":status") != "200" || body != "ok" {
		t.Errorf("answered %v %q", head, body)
	}
	r := receive(t, requests)
	if r.Method != "POST" || r.Target != "/a;b//%2F?q=c;d" || r.Path != "/a;b//%2F" || r.Query != "q=c;d" || !r.HasQuery ||
		r.Authority != "a.example:8443" || r.Scheme != "https" || r.Proto != "HTTP/2.0" || r.ContentLength != 3 ||
		!r.Client.IsValid() || r.Port != 443 || r.Upgrade != "" {
		t.Errorf("request %+v", r.Request)
	}
	if want := fields("cookie", "a=1; b=2; c=3", "x-b", "2", "x-a", "1", "te", "trailers", "content-length", "3"); !slices.Equal(r.header, want) {
		t.Errorf("header %v, want %v", r.header, want)
	}
	if r.body != "abc" || r.err != nil || !slices.Equal(r.trailer, fields("x-t", "t")) {
		t.Errorf("body %q, %v, trailer %v", r.body, r.err, r.trailer)
	}
}

func TestLengthsOfRequests(t *testing.T) {
	h, requests := record()
	c := serve(t, h).dial(t)
	for i, want := range []struct {
		end    bool
		pairs  []string
		length int64
	}{
		{true, get, 0},
		{false, post, -1},
		{false, with(post, "content-length", "2", "content-length", "2"), 2},
		{true, with(post, "content-length", "0"), 0},
	} {
		id := uint32(2*i + 1)
		c.request(id, want.end, want.pairs...)
		if !want.end {
			c.WriteData(id, true, []byte("xy"))
		}
		c.answer(id)
		r := receive(t, requests)
		if r.ContentLength != want.length || r.err != nil || r.body == "xy" == want.end {
			t.Errorf("%v: length %d, body %q, %v", want.pairs, r.ContentLength, r.body, r.err)
		}
	}
}

func TestHostStandsInForAuthority(t *testing.T) {
	h, requests := record()
	c := serve(t, h).dial(t)
	c.request(1, true, with(without(":authority"), "host", "b.example")...)
	c.answer(1)
	if r := receive(t, requests); r.Authority != "b.example" || r.header.Has("host") {
		t.Errorf("authority %q, header %v", r.Authority, r.header)
	}
	c.request(3, true, with(get, "host", "A.example")...)
	c.answer(3)
	if r := receive(t, requests); r.Authority != "a.example" || r.header.Has("host") {
		t.Errorf("authority %q, header %v", r.Authority, r.header)
	}
}

// refuse fails the test when a Handler is reached.
func refuse(t *testing.T) handler {
	return func(e exchange.Exchange) {
		t.Errorf("%s %q at %q reached the handler", e.Request().Method, e.Request().Target, e.Request().Authority)
		ok(e)
	}
}

func TestMalformedRequestsAreReset(t *testing.T) {
	s := serve(t, refuse(t))
	c := s.dial(t)
	id := uint32(1)
	for name, pairs := range map[string][]string{
		"no method":               without(":method"),
		"no scheme":               without(":scheme"),
		"no path":                 without(":path"),
		"empty path":              changed(":path", ""),
		"empty method":            changed(":method", ""),
		"empty scheme":            changed(":scheme", ""),
		"two methods":             with(get, ":method", "GET"),
		"two paths":               with(get, ":path", "/"),
		"two authorities":         with(get, ":authority", "a.example"),
		"unknown pseudo":          with(get, ":protocol", "websocket"),
		"a response's":            with(get, ":status", "200"),
		"pseudo behind":           append([]string{"x", "y"}, get...),
		"upper case":              with(get, "X-A", "1"),
		"blank in a name":         with(get, "x a", "1"),
		"colon in a name":         with(get, "x:a", "1"),
		"empty name":              with(get, "", "1"),
		"newline in a value":      with(get, "x", "a\r\nb: c"),
		"zero in a value":         with(get, "x", "a\x00"),
		"control in a value":      with(get, "x", "a\x01"),
		"delete in a value":       with(get, "x", "a\x7f"),
		"blank before a value":    with(get, "x", " a"),
		"tab behind a value":      with(get, "x", "a\t"),
		"connection":              with(get, "connection", "close"),
		"keep-alive":              with(get, "keep-alive", "timeout=5"),
		"proxy-connection":        with(get, "proxy-connection", "close"),
		"transfer-encoding":       with(get, "transfer-encoding", "chunked"),
		"upgrade":                 with(get, "upgrade", "websocket"),
		"te":                      with(get, "te", "gzip"),
		"te and more":             with(get, "te", "trailers, gzip"),
		"another host":            with(get, "host", "b.example"),
		"two hosts":               with(get, "host", "a.example", "host", "a.example"),
		"length without a body":   with(get, "content-length", "5"),
		"length not a number":     with(get, "content-length", "+1"),
		"length with a blank":     with(get, "content-length", "1 1"),
		"two lengths":             with(get, "content-length", "0", "content-length", "1"),
		"length too long":         with(get, "content-length", "99999999999999999999"),
		"CONNECT with a path":     changed(":method", "CONNECT"),
		"CONNECT to nowhere":      {":method", "CONNECT"},
		"nothing":                 {},
		"a newline in a cookie":   with(get, "cookie", "a=b", "cookie", "c\n"),
		"a list of connection":    with(get, "Connection", "x"),
		"http2-settings is fine?": with(get, "upgrade", "h2c", "http2-settings", "x"),
	} {
		c.request(id, true, pairs...)
		if e := c.next(); e.kind != "reset" || e.stream != id || e.code != http2.ErrCodeProtocol {
			t.Errorf("%s: %v", name, e)
		}
		id += 2
	}
}

func TestWhatNoTargetCanBeAskedIsAnswered(t *testing.T) {
	c := serve(t, refuse(t)).dial(t)
	id := uint32(1)
	for status, all := range map[string][][]string{
		"400": {
			changed(":path", "/a b"), changed(":path", "/a\tb"), changed(":path", "/a HTTP/1.1\r\nX: y"), changed(":path", "/\x00"),
			changed(":path", "/\x7f"), changed(":path", "*"), changed(":path", "http://other/"), changed(":path", "good"),
			changed(":method", "GET /x"), changed(":method", "G\u00c9T"), changed(":method", "A:B"), changed(":method", "A\nB"),
			changed(":authority", "a b"), changed(":authority", "u@h"), changed(":authority", "h/x"), changed(":authority", "h?x"),
			changed(":authority", "h\r\n"), with(without(":authority"), "host", "u@h"),
		},
		"501": {{":method", "CONNECT", ":authority", "a.example:443"}},
		"431": {with(get, "x", strings.Repeat("x", 129<<10)), with(get, slices.Repeat([]string{"x", "y"}, 1100)...)},
	} {
		for _, pairs := range all {
			c.requestInParts(id, pairs...)
			if head, _, _ := c.answer(id); head.get(":status") != status {
				t.Errorf("%.200q: %v, want %s", pairs, head, status)
			}
			id += 2
		}
	}
}

// requestInParts sends a request without a body, whose head may be larger than
// a frame.
func (c *client) requestInParts(id uint32, pairs ...string) {
	block := slices.Clone(c.encode(pairs...))
	first := block[:min(len(block), frameMost)]
	c.WriteHeaders(http2.HeadersFrameParam{StreamID: id, BlockFragment: first, EndHeaders: len(first) == len(block), EndStream: true})
	for block = block[len(first):]; len(block) > 0; {
		part := block[:min(len(block), frameMost)]
		block = block[len(part):]
		c.WriteContinuation(id, len(block) == 0, part)
	}
}

// TestALargeHeadIsTaken has a field as large as HTTP/1.x takes it.
func TestALargeHeadIsTaken(t *testing.T) {
	c := serve(t, ok).dial(t)
	c.requestInParts(1, with(get, "x", strings.Repeat("x", 100<<10))...)
	if head, _, _ := c.answer(1); head.get(":status") != "200" {
		t.Errorf("got %v", head)
	}
}

func TestUnusualRequestsAreServed(t *testing.T) {
	c := serve(t, ok).dial(t)
	for i, pairs := range [][]string{
		changed(":path", "/|{}%zz?\"<>"), changed(":path", "//x/../y"), changed(":method", "PURGE"), changed(":scheme", "http"),
		changed(":authority", "[::1]:80"), changed(":authority", "under_score"), without(":authority"),
		{":method", "OPTIONS", ":scheme", "https", ":path", "*", ":authority", "a"}, with(get, "x", ""), with(get, "x", "a\tb \u00e9"),
		with(get, "te", "trailers"), changed(":path", "/\u00e9"),
	} {
		id := uint32(2*i + 1)
		c.request(id, true, pairs...)
		if head, _, _ := c.answer(id); head.get(":status") != "200" {
			t.Errorf("%q: %v", pairs, head)
		}
	}
}

func TestBodiesThatAreNotAsLongAsTheySay(t *testing.T) {
	h, requests := record()
	c := serve(t, h).dial(t)
	for i, c2 := range []struct {
		body string
		end  bool
	}{{"abcd", false}, {"ab", true}, {"", true}} {
		id := uint32(2*i + 1)
		c.request(id, false, with(post, "content-length", "3")...)
		c.WriteData(id, c2.end, []byte(c2.body))
		if e := c.want("reset", id); e.code != http2.ErrCodeProtocol {
			t.Errorf("%q: %v", c2.body, e)
		}
		if r := receive(t, requests); r.err == nil {
			t.Errorf("%q looks whole", r.body)
		}
	}
	c.request(7, false, with(post, "content-length", "3")...)
	c.WriteData(7, false, []byte("ab"))
	c.request(7, true, "x-t", "short")
	c.want("reset", 7)
}

func TestTrailersThatAreNone(t *testing.T) {
	h, _ := record()
	c := serve(t, h).dial(t)
	for i, pairs := range [][]string{{":path", "/"}, {"X", "y"}, {"x", "\n"}, {"connection", "close"}} {
		id := uint32(2*i + 1)
		c.request(id, false, post...)
		c.request(id, true, pairs...)
		if e := c.want("reset", id); e.code != http2.ErrCodeProtocol {
			t.Errorf("%q: %v", pairs, e)
		}
	}
	c.request(9, false, post...)
	c.request(9, false, "x", "y")
	c.want("reset", 9)
}

func TestContinueIsSentWhenTheBodyIsRead(t *testing.T) {
	read := make(chan struct{})
	s := serve(t, func(e exchange.Exchange) {
		<-read
		io.Copy(io.Discard, e.Request().Body)
		ok(e)
	})
	c := s.dial(t)
	c.request(1, false, with(post, "expect", "100-continue")...)
	close(read)
	if e := c.want("headers", 1); e.get(":status") != "100" || e.end {
		t.Fatalf("got %v", e)
	}
	c.WriteData(1, true, []byte("x"))
	if head, body, _ := c.answer(1); head.get(":status") != "200" || body != "ok" {
		t.Errorf("got %v", head)
	}
	c.request(3, true, with(get, "expect", "100-continue")...)
	if e := c.want("headers", 3); e.get(":status") != "200" {
		t.Errorf("without a body: %v", e)
	}
}
