package http2

import (
	"errors"
	"io"
	"slices"
	"strings"
	"testing"

	"golang.org/x/net/http2"

	"kamal-proxy/transport/exchange"
)

func plain(e event) exchange.Header {
	var h exchange.Header
	for _, f := range e.fields {
		if f.Name != "date" {
			h.Add(f.Name, f.Value)
		}
	}
	return h
}

func TestResponses(t *testing.T) {
	long := strings.Repeat("0123456789", 5000)
	for name, c := range map[string]struct {
		method string
		status int
		header exchange.Header
		length int64
		body   string
		want   exchange.Header
	}{
		"as given": {"GET", 203, fields("X-B", "2", "x-a", "1", "X-B", "3", "Set-Cookie", "a=b"), 2, "ok",
			fields(":status", "203", "x-b", "2", "x-a", "1", "x-b", "3", "set-cookie", "a=b", "content-length", "2")},
		"unknown length":    {"GET", 200, nil, -1, long, fields(":status", "200")},
		"long":              {"GET", 200, nil, 50000, long, fields(":status", "200", "content-length", "50000")},
		"empty":             {"GET", 200, nil, 0, "", fields(":status", "200", "content-length", "0")},
		"a stale length":    {"GET", 404, fields("Content-Length", "9"), -1, "x", fields(":status", "404")},
		"HEAD":              {"HEAD", 200, fields("Content-Length", "5"), -1, "never", fields(":status", "200", "content-length", "5")},
		"304":               {"GET", 304, fields("Content-Length", "5", "ETag", "x"), -1, "never", fields(":status", "304", "etag", "x")},
		"204":               {"GET", 204, fields("Content-Length", "5"), 0, "never", fields(":status", "204")},
		"of the connection": {"GET", 599, fields("Transfer-Encoding", "chunked", "Keep-Alive", "x", "Upgrade", "x", "Proxy-Connection", "x", "TE", "x"), 0, "", fields(":status", "599", "content-length", "0")},
		"blanks":            {"GET", 500, fields("X", " \ta b\t"), 0, "", fields(":status", "500", "x", "a b", "content-length", "0")},
	} {
		t.Run(name, func(t *testing.T) {
			peer := serve(t, func(e exchange.Exchange) {
				if err := e.Respond(c.status, c.header, c.length); err != nil {
					t.Error(err)
				}
				if n, err := io.WriteString(e, c.body); n != len(c.body) || err != nil {
					t.Errorf("%d bytes, %v", n, err)
				}
			}).dial(t)
			peer.request(1, true, changed(":method", c.method)...)
			head, body, _ := peer.answer(1)
			want := c.body
			if want == "never" {
				want = ""
			}
			if got := plain(head); !slices.Equal(got, c.want) || body != want {
				t.Errorf("got %v %.20q, want %v", got, body, c.want)
			}
			if head.get("date") == "" {
				t.Error("there is no date")
			}
		})
	}
}

func TestSmallResponsesAreTwoFrames(t *testing.T) {
	const responses = 20
	c := serve(t, ok).dial(t)
	two := 0
	for id := uint32(1); id < 2*responses; id += 2 {
		c.request(id, true, get...)
		c.want("headers", id)
		if e := c.want("data", id); e.end {
			two++
		} else { // something else was just being written, and took it along
			e = c.want("data", id)
			if !e.end || e.data != "" {
				t.Errorf("got %v", e)
			}
		}
	}
	if two == 0 {
		t.Errorf("the end came in a frame of its own each of %d times", responses)
	}
}

func TestWhatIsGivenIsNotGivenTwice(t *testing.T) {
	s := start(t, Config{AltSvc: `h3=":443"`, Handler: func(e exchange.Exchange) {
		e.Respond(200, fields("date", "now", "Alt-Svc", "clear"), 0)
	}})
	c := s.dial(t)
	c.request(1, true, get...)
	if head, _, _ := c.answer(1); !slices.Equal(plain(head), fields(":status", "200", "alt-svc", "clear", "content-length", "0")) || head.get("date") != "now" {
		t.Errorf("got %v", head)
	}
	c = start(t, Config{AltSvc: `h3=":443"`, Handler: ok}).dial(t)
	c.request(1, true, get...)
	if head, _, _ := c.answer(1); head.get("alt-svc") != `h3=":443"` {
		t.Errorf("got %v", head)
	}
}

func TestLargeHeadsComeInParts(t *testing.T) {
	large := strings.Repeat("\xe9", 40<<10) // which Huffman's code does not shorten
	c := serve(t, func(e exchange.Exchange) {
		e.Respond(200, fields("X-Large", large), 2)
		io.WriteString(e, "ok")
	}).dial(t)
	for id := uint32(1); id < 9; id += 2 {
		c.request(id, true, get...)
		if head, body, _ := c.answer(id); head.get("x-large") != large || body != "ok" {
			t.Fatalf("%d bytes came, and %q", len(head.get("x-large")), body)
		}
	}
}

func TestTrailersAndEarlyHints(t *testing.T) {
	c := serve(t, func(e exchange.Exchange) {
		if e.Inform(101, nil) == nil || e.Inform(200, nil) == nil {
			t.Error("no interim status, and yet sent")
		}
		e.Inform(103, fields("Link", "</a>"))
		e.Respond(200, nil, -1)
		if e.Inform(103, nil) == nil || e.Respond(200, nil, 0) == nil {
			t.Error("there are two heads")
		}
		io.WriteString(e, "body")
		e.Trail(fields("X-Sum", "4", "Content-Length", "9", "Connection", "close"))
		if _, err := io.WriteString(e, "more"); err == nil {
			t.Error("written behind the trailer")
		}
	}).dial(t)
	c.request(1, true, get...)
	if e := c.want("headers", 1); e.get(":status") != "103" || e.get("link") != "</a>" {
		t.Errorf("early %v", e)
	}
	head, body, trailer := c.answer(1)
	if head.get(":status") != "200" || head.get("link") != "" || body != "body" || !trailer.end ||
		!slices.Equal(plain(trailer), fields("x-sum", "4")) {
		t.Errorf("got %v %q %v", head, body, trailer)
	}
}

func TestWhatIsNotWholeIsReset(t *testing.T) {
	for name, h := range map[string]handler{
		"no answer":   func(exchange.Exchange) {},
		"too short":   func(e exchange.Exchange) { e.Respond(200, nil, 5); io.WriteString(e, "ab"); e.Flush() },
		"panic":       func(e exchange.Exchange) { e.Respond(200, nil, -1); e.Flush(); panic("oops") },
		"early panic": func(e exchange.Exchange) { panic("oops") },
		"aborted":     func(e exchange.Exchange) { e.Respond(200, nil, -1); e.Abort() },
		"too long": func(e exchange.Exchange) {
			e.Respond(200, nil, 1)
			if _, err := io.WriteString(e, "ab"); !errors.Is(err, ErrBodyLength) {
				t.Errorf("too long: %v", err)
			}
		},
		"bad field": func(e exchange.Exchange) {
			if e.Respond(200, fields("X", "a\r\nb"), 0) == nil || e.Respond(200, fields("a b", ""), 0) == nil {
				t.Error("a bad field is sent")
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			c := serve(t, func(e exchange.Exchange) {
				if e.Request().Path == "/good" {
					ok(e)
				} else {
					h(e)
				}
			}).dial(t)
			c.request(1, true, get...)
			e := c.next()
			for e.kind == "headers" || e.kind == "data" {
				if e.end {
					t.Fatalf("it looks whole: %v", e)
				}
				e = c.next()
			}
			if e.kind != "reset" || e.code != http2.ErrCodeInternal {
				t.Errorf("got %v", e)
			}
			c.request(3, true, changed(":path", "/good")...)
			if head, _, _ := c.answer(3); head.get(":status") != "200" {
				t.Errorf("the connection is spoilt: %v", head)
			}
		})
	}
}

func TestThereIsNoUpgrade(t *testing.T) {
	c := serve(t, func(e exchange.Exchange) {
		if _, err := e.Upgrade(nil); err != exchange.ErrNoUpgrade {
			t.Error(err)
		}
		if _, err := e.Write([]byte("x")); err == nil {
			t.Error("a body without a head")
		}
		ok(e)
		if status, n := e.Sent(); status != 200 || n != 2 {
			t.Errorf("sent %d, %d bytes", status, n)
		}
	}).dial(t)
	c.request(1, true, get...)
	c.answer(1)
}

func TestTheRestOfABodyIsNotWantedAfterTheAnswer(t *testing.T) {
	c := serve(t, ok).dial(t)
	c.request(1, false, post...)
	if _, body, _ := c.answer(1); body != "ok" {
		t.Errorf("got %q", body)
	}
	if e := c.want("reset", 1); e.code != http2.ErrCodeNo {
		t.Errorf("got %v", e)
	}
	c.WriteData(1, false, []byte("on its way"))
	c.request(1, true, "x-t", "on its way, too")
	c.request(3, true, get...)
	c.answer(3)
}

func TestFlushSendsAtOnce(t *testing.T) {
	more := make(chan struct{})
	c := serve(t, func(e exchange.Exchange) {
		e.Respond(200, nil, -1)
		e.Flush()
		<-more
		io.WriteString(e, "event")
		e.Flush()
		<-more
	}).dial(t)
	c.request(1, true, get...)
	c.want("headers", 1)
	more <- struct{}{}
	if e := c.want("data", 1); e.data != "event" || e.end {
		t.Errorf("got %v", e)
	}
	more <- struct{}{}
	if e := c.want("data", 1); !e.end || e.data != "" {
		t.Errorf("got %v", e)
	}
}
