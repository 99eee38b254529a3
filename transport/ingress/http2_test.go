package ingress

import (
	"bytes"
	"crypto/tls"
	"io"
	"net/http"
	"net/http/httptrace"
	"net/textproto"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"

	"kamal-proxy/transport/exchange"
)

// fetch makes a request over HTTP/2 and reads its answer.
func fetch(t *testing.T, web *http.Client, r *http.Request) (*http.Response, string, error) {
	t.Helper()
	response, err := web.Do(r)
	if err != nil {
		return nil, "", err
	}
	defer response.Body.Close()
	if response.ProtoMajor != 2 {
		t.Fatalf("answered in %s", response.Proto)
	}
	body, err := io.ReadAll(response.Body)
	return response, string(body), err
}

func request(t testing.TB, method, url string, body io.Reader) *http.Request {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, url, body)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func TestHTTP2(t *testing.T) {
	type got struct {
		request exchange.Request
		header  exchange.Header
		body    string
		trailer exchange.Header
	}
	requests := make(chan got, 1)
	s, web := secure(t, func(e exchange.Exchange) {
		body, _ := io.ReadAll(e.Request().Body)
		requests <- got{*e.Request(), append(exchange.Header(nil), e.Request().Header...), string(body), e.Request().Trailer()}
		e.Inform(103, fields("Link", "</a>"))
		e.Respond(203, fields("X-Sum", "of the head", "Etag", "x"), -1)
		e.Write([]byte("body"))
		e.Trail(fields("X-Sum", "4"))
	})
	r := request(t, "POST", "https://"+s.addr+"/a;b//%2F?q=c;d", io.MultiReader(strings.NewReader("ab"), strings.NewReader("c")))
	r.Host = "example.com"
	r.Trailer = http.Header{"X-T": {"t"}}
	var link string
	r = r.WithContext(httptrace.WithClientTrace(r.Context(), &httptrace.ClientTrace{
		Got1xxResponse: func(code int, h textproto.MIMEHeader) error { link = h.Get("Link"); return nil },
	}))
	response, body, err := fetch(t, web, r)
	if err != nil {
		t.Fatal(err)
	}
	if link != "</a>" || response.Header.Get("Link") != "" {
		t.Errorf("early link %q, final %q", link, response.Header.Get("Link"))
	}
	if response.StatusCode != 203 || body != "body" || response.Trailer.Get("X-Sum") != "4" || len(response.Trailer["X-Sum"]) != 1 {
		t.Errorf("got %d %q, trailer %v", response.StatusCode, body, response.Trailer)
	}
	if _, ok := response.Header["Content-Type"]; ok {
		t.Errorf("a type was guessed: %v", response.Header)
	}
	g := receive(t, requests)
	if g.request.Target != "/a;b//%2F?q=c;d" || g.request.Authority != "example.com" || g.request.Proto != "HTTP/2.0" ||
		g.request.Scheme != "https" || g.request.ContentLength != -1 || g.body != "abc" || g.trailer.Get("X-T") != "t" || !g.request.Client.IsValid() {
		t.Errorf("request %+v", g)
	}
	if g.header.Get("Trailer") != "X-T" {
		t.Errorf("header %v", g.header)
	}
}

func TestHTTP2KeepsLengths(t *testing.T) {
	for name, c := range map[string]struct {
		method string
		status int
		header exchange.Header
		length int64
		want   string
	}{
		"HEAD": {"HEAD", 200, fields("Content-Length", "5"), 0, "5"},
		"304":  {"GET", 304, fields("Content-Length", "5"), 0, ""}, // Go's client could not read it
		"GET":  {"GET", 200, nil, 3, "3"},
	} {
		t.Run(name, func(t *testing.T) {
			s, web := secure(t, func(e exchange.Exchange) {
				e.Respond(c.status, c.header, c.length)
				e.Write([]byte("abc"))
			})
			response, _, err := fetch(t, web, request(t, c.method, "https://"+s.addr, nil))
			if err != nil || response.Header.Get("Content-Length") != c.want {
				t.Errorf("length %v, %v", response, err)
			}
		})
	}
}

func TestHTTP2AbortResetsTheStreamOnly(t *testing.T) {
	hanging := make(chan exchange.Exchange, 1)
	s, web := secure(t, func(e exchange.Exchange) {
		if e.Request().Path == "/ok" {
			ok(e)
			return
		}
		e.Respond(200, nil, -1)
		e.Write([]byte("part"))
		e.Flush()
		hanging <- e
		<-e.Context().Done()
	})
	reused := false
	trace := httptrace.WithClientTrace(t.Context(), &httptrace.ClientTrace{GotConn: func(i httptrace.GotConnInfo) { reused = i.Reused }})
	response, err := web.Do(request(t, "GET", "https://"+s.addr+"/", nil))
	if err != nil {
		t.Fatal(err)
	}
	e := receive(t, hanging)
	e.Abort()
	body, err := io.ReadAll(response.Body)
	response.Body.Close()
	if err == nil {
		t.Errorf("%q looks whole", body)
	}
	e.Abort() // late, and maybe after the end
	if _, body, err := fetch(t, web, request(t, "GET", "https://"+s.addr+"/ok", nil).WithContext(trace)); err != nil || body != "ok" || !reused {
		t.Errorf("afterwards %q, %v, the same connection: %v", body, err, reused)
	}
}

func TestHTTP2WhatIsNotWholeIsReset(t *testing.T) {
	for name, handler := range map[string]Handler{
		"no answer": func(exchange.Exchange) {},
		"too short": func(e exchange.Exchange) { e.Respond(200, nil, 5); e.Write([]byte("ab")); e.Flush() },
		"panic":     func(e exchange.Exchange) { e.Respond(200, nil, -1); e.Flush(); panic("oops") },
	} {
		t.Run(name, func(t *testing.T) {
			s, web := secure(t, handler)
			if _, body, err := fetch(t, web, request(t, "POST", "https://"+s.addr, strings.NewReader("x"))); err == nil {
				t.Errorf("%q looks whole", body)
			}
		})
	}
}

// rawHTTP2 sends one request with these fields and returns the status, or what
// came instead.
func rawHTTP2(t *testing.T, s *site, pairs ...string) string {
	t.Helper()
	conn, err := tls.Dial("tcp", s.addr, &tls.Config{InsecureSkipVerify: true, NextProtos: []string{"h2"}})
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	conn.SetDeadline(time.Now().Add(patience))
	io.WriteString(conn, http2.ClientPreface)
	framer := http2.NewFramer(conn, conn)
	framer.ReadMetaHeaders = hpack.NewDecoder(4096, nil)
	framer.WriteSettings()
	var block bytes.Buffer
	encoder := hpack.NewEncoder(&block)
	for i := 0; i < len(pairs); i += 2 {
		encoder.WriteField(hpack.HeaderField{Name: pairs[i], Value: pairs[i+1]})
	}
	framer.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: block.Bytes(), EndHeaders: true, EndStream: true})
	for {
		frame, err := framer.ReadFrame()
		if err != nil {
			return err.Error()
		}
		switch frame := frame.(type) {
		case *http2.MetaHeadersFrame:
			return frame.PseudoValue("status")
		case *http2.RSTStreamFrame:
			return "reset"
		case *http2.GoAwayFrame:
			return "goaway"
		}
	}
}

func TestHTTP2RequestsThatWouldNotBeOneInHTTP1(t *testing.T) {
	s, _ := secure(t, func(e exchange.Exchange) {
		if e.Request().Path != "/good" {
			t.Errorf("%s %q at %q reached the handler", e.Request().Method, e.Request().Target, e.Request().Authority)
		}
		ok(e)
	})
	for _, c := range []struct{ method, path, authority, length string }{
		{"GET", "/a b", "h", ""},
		{"GET", "/a HTTP/1.1\r\nX: y", "h", ""},
		{"GET", "*", "h", ""},
		{"GET", "http://other/", "h", ""},
		{"GET", "good", "h", ""},
		{"GET /x", "/", "h", ""},
		{"CONNECT", "/", "h", ""},
		{"GET", "/", "a b", ""},
		{"GET", "/", "u@h", ""},
		{"GET", "/", "h", "5"},
		{"GET", "/", "h", "x"},
	} {
		pairs := []string{":method", c.method, ":scheme", "https", ":authority", c.authority, ":path", c.path}
		if c.length != "" {
			pairs = append(pairs, "content-length", c.length)
		}
		if got := rawHTTP2(t, s, pairs...); got == "200" {
			t.Errorf("%+v got %s", c, got)
		}
	}
	if got := rawHTTP2(t, s, ":method", "GET", ":scheme", "https", ":authority", "h", ":path", "/good"); got != "200" {
		t.Errorf("a good one got %s", got)
	}
}

func TestHTTP2ByNetHTTP(t *testing.T) {
	for _, byNetHTTP := range []bool{false, true} {
		handler, requests := seen()
		s, web := startSecure(t, Config{Handler: handler, HTTP2ByNetHTTP: byNetHTTP})
		r := request(t, "GET", "https://"+s.addr+"/", nil)
		r.Header.Set("X-A", "1")
		if _, body, err := fetch(t, web, r); err != nil || body != "ok" {
			t.Fatalf("%q, %v", body, err)
		}
		// net/http's names show who has served it
		if canonical := slices.Contains(receive(t, requests).Header, exchange.Field{Name: "X-A", Value: "1"}); canonical != byNetHTTP {
			t.Errorf("by net/http: %t, want %t", canonical, byNetHTTP)
		}
	}
}

func TestAnIdleHTTP2ConnectionMakesRoom(t *testing.T) {
	s, web := startSecure(t, Config{Handler: ok, Crowd: NewCrowd(CrowdLimits{Connections: 1})})
	if _, _, err := fetch(t, web, request(t, "GET", "https://"+s.addr, nil)); err != nil {
		t.Fatal(err)
	}
	if got := rawHTTP2(t, s, ":method", "GET", ":scheme", "https", ":authority", "h", ":path", "/"); got != "200" {
		t.Errorf("the second got %s", got)
	}
}
