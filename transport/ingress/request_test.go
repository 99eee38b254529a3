package ingress

import (
	"errors"
	"io"
	"slices"
	"strings"
	"testing"

	"kamal-proxy/transport/exchange"
	"kamal-proxy/transport/http1"
)

func TestTargetsPassByteForByte(t *testing.T) {
	handler, requests := seen()
	s := serve(t, handler)
	for _, target := range []string{"/", "//", "//x/../y", "/../a/./b", "/a%2Fb%2f", "/p?q=a;b&c=%zz", "/?", "/x?y?z", "/\xc3\xa9", "/a%20b", "/a:b@c"} {
		answer := s.ask(t, "GET "+target+" HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n")
		contains(t, answer, "HTTP/1.1 200 OK\r\n")
		r := receive(t, requests)
		if r.Target != target {
			t.Errorf("target %q came as %q", target, r.Target)
		}
		path, query, hasQuery := strings.Cut(target, "?")
		if r.Path != path || r.Query != query || r.HasQuery != hasQuery {
			t.Errorf("target %q came as path %q, query %q, %v", target, r.Path, r.Query, r.HasQuery)
		}
	}
}

func TestAbsoluteFormBecomesOriginForm(t *testing.T) {
	handler, requests := seen()
	s := serve(t, handler)
	for line, want := range map[string]string{
		"GET http://a.example:81/x//y?z":  "/x//y?z",
		"GET http://a.example:81":         "/",
		"GET HTTPS://a.example:81?q":      "/?q",
		"OPTIONS http://a.example:81":     "*",
		"OPTIONS http://a.example:81/a/b": "/a/b",
	} {
		contains(t, s.ask(t, line+" HTTP/1.1\r\nHost: other\r\nConnection: close\r\n\r\n"), "200 OK")
		r := receive(t, requests)
		if r.Target != want || r.Authority != "a.example:81" || r.Scheme != "http" {
			t.Errorf("%s came as %q at %q by %s", line, r.Target, r.Authority, r.Scheme)
		}
	}
	contains(t, s.ask(t, "OPTIONS * HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n"), "200 OK")
	if r := receive(t, requests); r.Target != "*" || r.Path != "*" {
		t.Errorf("* came as %q", r.Target)
	}
}

func TestBadRequestsNeverReachTheHandler(t *testing.T) {
	s := serve(t, func(e exchange.Exchange) {
		t.Errorf("%s %q reached the handler", e.Request().Method, e.Request().Target)
		ok(e)
	})
	for request, status := range map[string]string{
		"GET * HTTP/1.1\r\nHost: h\r\n\r\n":                                           "400",
		"GET ftp://h/ HTTP/1.1\r\nHost: h\r\n\r\n":                                    "400",
		"GET http://user@h/ HTTP/1.1\r\nHost: h\r\n\r\n":                              "400",
		"GET mailto:x HTTP/1.1\r\nHost: h\r\n\r\n":                                    "400",
		"GET x HTTP/1.1\r\nHost: h\r\n\r\n":                                           "400",
		"GET / HTTP/1.1\r\n\r\n":                                                      "400",
		"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n":                                "400",
		"GET / HTTP/1.1\r\nHost: a/b\r\n\r\n":                                         "400",
		"GET / HTTP/1.1\r\nHost: u@a\r\n\r\n":                                         "400",
		"CONNECT h:443 HTTP/1.1\r\nHost: h:443\r\n\r\n":                               "501",
		"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n":                                            "505",
		"GET / HTTP/1.1\r\nHost: h\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n": "400",
		"GET / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: gzip, chunked\r\n\r\n":       "501",
	} {
		answer := s.ask(t, request)
		if !strings.HasPrefix(answer, "HTTP/1.1 "+status) && !strings.HasPrefix(answer, "HTTP/1.0 "+status) {
			t.Errorf("%q got %q, want %s", request, answer, status)
		}
	}
}

func TestHiddenRequestsAreNotServed(t *testing.T) {
	handler, requests := seen()
	s := serve(t, handler)
	const hidden = "GET /hidden HTTP/1.1\r\nHost: h\r\n\r\n"
	for name, request := range map[string]string{
		"length and chunked":  "POST /shown HTTP/1.1\r\nHost: h\r\nContent-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n" + hidden,
		"two lengths":         "POST /shown HTTP/1.1\r\nHost: h\r\nContent-Length: 0\r\nContent-Length: 4\r\n\r\n" + hidden,
		"chunked in HTTP/1.0": "POST /shown HTTP/1.0\r\nHost: h\r\nConnection: keep-alive\r\nTransfer-Encoding: chunked\r\n\r\n" + hidden,
		"both, and HTTP/1.0":  "POST /shown HTTP/1.0\r\nConnection: keep-alive\r\nContent-Length: 0\r\nTransfer-Encoding: chunked\r\n\r\n" + hidden,
		"a folded line":       "GET /shown HTTP/1.1\r\nHost: h\r\nX: a\r\n b\r\n\r\n" + hidden,
		"a bare line feed":    "GET /shown HTTP/1.1\r\nHost: h\nX: a\r\n\r\n" + hidden,
		"a blank before it":   "GET /shown HTTP/1.1\r\nHost: h\r\nContent-Length : 4\r\n\r\n" + hidden,
		"an odd coding":       "POST /shown HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: \vchunked\r\n\r\n" + hidden,
	} {
		t.Run(name, func(t *testing.T) {
			answer := s.ask(t, request)
			contains(t, answer, "HTTP/1.1 400 Bad Request\r\n", "Connection: close\r\n", "Date: ", "<h1>400 Bad Request</h1>")
			if n := strings.Count(answer, "HTTP/1."); n != 1 {
				t.Errorf("%d answers: %q", n, answer)
			}
			if len(requests) > 0 {
				t.Errorf("served %s", receive(t, requests).Path)
			}
		})
	}
	contains(t, s.log.String(), `"level":"debug"`, "Content-Length and Transfer-Encoding are both given", "127.0.0.1:")
}

func TestHeadPassesByteForByte(t *testing.T) {
	handler, requests := seen()
	s := serve(t, handler)
	c := s.dial(t)
	c.send("POST /x HTTP/1.1\r\nHost: Example.COM:8080\r\nx-two: 2\r\nX-One: a\r\nX-One: b\r\nContent-Length: 3\r\n" +
		"Connection: keep-alive, X-Y\r\nTrailer: X-T\r\n\r\nabc")
	c.head()
	r := receive(t, requests)
	want := fields("x-two", "2", "X-One", "a", "X-One", "b", "Content-Length", "3", "Connection", "keep-alive, X-Y", "Trailer", "X-T")
	if len(r.Header) != len(want) {
		t.Fatalf("header %v, want %v", r.Header, want)
	}
	for i := range want {
		if r.Header[i] != want[i] {
			t.Errorf("field %d is %v, want %v", i, r.Header[i], want[i])
		}
	}
	if r.Authority != "Example.COM:8080" || r.Proto != "HTTP/1.1" || r.Scheme != "http" || r.ContentLength != 3 || r.Method != "POST" {
		t.Errorf("request %+v", r)
	}
	if r.Client.String() != c.LocalAddr().String() || !strings.HasSuffix(s.addr, ":"+itoa(r.Port)) {
		t.Errorf("client %v, port %d", r.Client, r.Port)
	}
}

func TestBodyAndTrailersArrive(t *testing.T) {
	type got struct {
		length  int64
		body    string
		header  exchange.Header
		trailer exchange.Header
		err     error
	}
	bodies := make(chan got, 1)
	s := serve(t, func(e exchange.Exchange) {
		body, err := io.ReadAll(e.Request().Body)
		bodies <- got{e.Request().ContentLength, string(body), slices.Clone(e.Request().Header), e.Request().Trailer(), err}
		ok(e)
	})
	contains(t, s.ask(t, "POST / HTTP/1.1\r\nHost: h\r\nConnection: close\r\nTransfer-Encoding: chunked\r\nTrailer: X-Sum\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\nX-Sum: 5\r\nX-More: m\r\n\r\n"), "200 OK")
	g := receive(t, bodies)
	if g.length != -1 || g.body != "abcde" || g.err != nil || g.trailer.Get("X-Sum") != "5" || g.trailer.Get("X-More") != "m" ||
		g.header.Get("Trailer") != "X-Sum" {
		t.Errorf("got %+v", g)
	}

	const chunked = "POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n"
	for _, malformed := range []string{"zz\r\nabc\r\n", "3\r\nabcd\r\n", "3\nabc\r\n", "fffffffffffffffff\r\n"} {
		s.ask(t, chunked+malformed)
		var refusal *http1.Error
		if g := receive(t, bodies); !errors.As(g.err, &refusal) || refusal.Status != 400 {
			t.Errorf("%q read as %q, %v", malformed, g.body, g.err)
		}
	}
	c := s.dial(t)
	c.send(chunked + "5\r\nabc")
	c.Conn.Close()
	if g := receive(t, bodies); g.err == nil || errors.As(g.err, new(*http1.Error)) {
		t.Errorf("a client that left read as %q, %v", g.body, g.err)
	}

	s.ask(t, "GET / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n")
	if g := receive(t, bodies); g.length != 0 || g.body != "" || g.err != nil || len(g.trailer) != 0 {
		t.Errorf("no body read as %+v", g)
	}
}

func TestContinueIsSentWhenTheBodyIsRead(t *testing.T) {
	read := make(chan struct{})
	s := serve(t, func(e exchange.Exchange) {
		<-read
		io.Copy(io.Discard, e.Request().Body)
		ok(e)
	})
	c := s.dial(t)
	c.send("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\nExpect: 100-continue\r\n\r\n")
	close(read)
	if head := c.head(); head != "HTTP/1.1 100 Continue\r\n\r\n" {
		t.Fatalf("got %q", head)
	}
	c.send("xy")
	contains(t, c.head(), "HTTP/1.1 200 OK\r\n")
}

func TestUpgradeIsSeen(t *testing.T) {
	handler, requests := seen()
	s := serve(t, handler)
	for fields, want := range map[string]string{
		"Connection: Upgrade\r\nUpgrade: websocket\r\n":                      "websocket",
		"Connection: keep-alive, upgrade\r\nUpgrade: other/2\r\n":            "other/2",
		"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\n":            "",
		"Connection: Upgrade\r\nUpgrade: H2C, websocket\r\n":                 "websocket",
		"Upgrade: websocket\r\n":                                             "",
		"Connection: Upgrade\r\n":                                            "",
		"Connection: Upgrade\r\nUpgrade: websocket\r\nContent-Length: 1\r\n": "",
	} {
		c := s.dial(t)
		c.send("GET / HTTP/1.1\r\nHost: h\r\n" + fields + "\r\nx")
		c.head()
		if r := receive(t, requests); r.Upgrade != want {
			t.Errorf("%q: upgrade to %q, want %q", fields, r.Upgrade, want)
		}
	}
	s.ask(t, "GET / HTTP/1.0\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n")
	if r := receive(t, requests); r.Upgrade != "" {
		t.Errorf("HTTP/1.0 is upgraded to %q", r.Upgrade)
	}
}

func TestTargetsThatCannotStandInARequestLine(t *testing.T) {
	for _, target := range []string{"/a b", "/a\tb", "/a\r\nX: y", "/\x7f", "/\x00"} {
		if validTarget(target) {
			t.Errorf("%q is taken", target)
		}
	}
	for _, method := range []string{"", "GET /x", "A\tB", "GÉT", "A:B"} {
		if validMethod(method) {
			t.Errorf("method %q is taken", method)
		}
	}
	for _, authority := range []string{"a b", "a/b", "u@h", "h?x", "h#x", "a\r\n", "é"} {
		if validAuthority(authority) {
			t.Errorf("authority %q is taken", authority)
		}
	}
	for _, authority := range []string{"", "a.example:80", "[::1]:80", "*.x", "under_score"} {
		if !validAuthority(authority) {
			t.Errorf("authority %q is refused", authority)
		}
	}
}
