package ingress

import (
	"io"
	"strconv"
	"strings"
	"testing"

	"kamal-proxy/transport/exchange"
)

func itoa(n int) string { return strconv.Itoa(n) }

const get = "GET / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n"

func fields(pairs ...string) exchange.Header {
	var h exchange.Header
	for i := 0; i < len(pairs); i += 2 {
		h.Add(pairs[i], pairs[i+1])
	}
	return h
}

// respond serves one fixed response.
func respond(t testing.TB, status int, header exchange.Header, length int64, body string) *site {
	return serve(t, func(e exchange.Exchange) {
		e.Respond(status, header, length)
		if body != "" {
			e.Write([]byte(body))
		}
	})
}

func TestResponseIsNotDecorated(t *testing.T) {
	s := respond(t, 200, fields("date", "Mon, 01 Jan 2001 00:00:00 GMT", "x-a", "1", "X-A", "2"), 6, "<html>")
	answer := s.ask(t, get)
	contains(t, answer, "date: Mon, 01 Jan 2001 00:00:00 GMT\r\nx-a: 1\r\nX-A: 2\r\n", "Content-Length: 6\r\n", "\r\n\r\n<html>")
	lacks(t, answer, "Content-Type", "Transfer-Encoding")
	if n := strings.Count(strings.ToLower(answer), "date:"); n != 1 {
		t.Errorf("%d dates", n)
	}
}

func TestFraming(t *testing.T) {
	long := strings.Repeat("x", 5000)
	head := strings.Replace(get, "GET", "HEAD", 1)
	old := "GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n"
	for _, c := range []struct {
		name, request string
		status        int
		header        exchange.Header
		length        int64
		body          string
		has           []string
		not           []string
	}{
		{"unknown length", get, 200, nil, -1, long, []string{"Transfer-Encoding: chunked\r\n", long, "\r\n0\r\n\r\n"}, []string{"Content-Length"}},
		{"a stale length", get, 200, fields("Content-Length", "9"), -1, long, []string{"chunked"}, []string{"Content-Length"}},
		{"empty", get, 200, nil, 0, "", []string{"Content-Length: 0\r\n"}, []string{"chunked"}},
		{"HEAD", head, 200, fields("Content-Length", "5", "Content-Type", "a/b"), 0, "never", []string{"Content-Length: 5\r\n", "Content-Type: a/b\r\n"}, []string{"never", "chunked"}},
		{"HEAD of a stream", head, 200, nil, -1, "never", nil, []string{"never", "Content-Length", "chunked"}},
		{"304", get, 304, fields("Content-Length", "5", "Content-Type", "a/b", "ETag", "x"), 0, "never", []string{"Content-Length: 5\r\nContent-Type: a/b\r\nETag: x\r\n"}, []string{"never", "chunked"}},
		{"204", get, 204, fields("Content-Length", "5"), 0, "never", nil, []string{"never", "Content-Length", "chunked"}},
		{"HTTP/1.0", old, 200, nil, -1, "abc", []string{"\r\n\r\nabc", "Connection: close"}, []string{"chunked", "Content-Length"}},
		{"an odd status", get, 599, nil, 0, "", []string{"HTTP/1.1 599 "}, nil},
		{"Transfer-Encoding", get, 200, fields("Transfer-Encoding", "identity"), 1, "x", []string{"Content-Length: 1\r\n"}, []string{"identity"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			answer := respond(t, c.status, c.header, c.length, c.body).ask(t, c.request)
			contains(t, answer, c.has...)
			lacks(t, answer, c.not...)
		})
	}
}

func TestConnectionCloseInTheHeaderCloses(t *testing.T) {
	s := respond(t, 200, fields("Connection", "close"), 0, "")
	answer := s.ask(t, "GET / HTTP/1.1\r\nHost: h\r\n\r\n") // ends only when the server closes
	contains(t, answer, "Connection: close\r\n")
}

func TestConnectionsAreKept(t *testing.T) {
	s := serve(t, func(e exchange.Exchange) {
		io.Copy(io.Discard, e.Request().Body)
		ok(e)
	})
	c := s.dial(t)
	for range 3 {
		c.send("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\n\r\nabc")
		head := c.head()
		contains(t, head, "200 OK")
		lacks(t, head, "Connection: close")
		io.ReadFull(c, make([]byte, 2))
	}
}

func TestAnEarlyAnswerArrivesWholeAndCloses(t *testing.T) {
	s := serve(t, ok)
	for _, size := range []int{64 << 10, 1 << 20} {
		for range 20 {
			c := s.dial(t)
			c.send("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: " + itoa(size) + "\r\n\r\n")
			go io.WriteString(c.Conn, strings.Repeat("x", size))
			contains(t, c.head(), "200 OK", "Connection: close\r\n")
			if body, err := c.rest(); body != "ok" || err != nil {
				t.Fatalf("%d bytes: got %q, %v", size, body, err)
			}
		}
	}
	lacks(t, s.log.String(), "panic")
}

func TestABodyThatIsHereUnreadCostsNoConnection(t *testing.T) {
	s := serve(t, ok)
	c := s.dial(t)
	for range 3 {
		c.send("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\n\r\nabc")
		lacks(t, c.head(), "Connection: close")
		io.ReadFull(c, make([]byte, 2))
	}
}

func TestInterimHeadersDoNotLeak(t *testing.T) {
	s := serve(t, func(e exchange.Exchange) {
		e.Inform(103, fields("Link", "</a>", "Content-Length", "7"))
		e.Inform(102, nil)
		ok(e)
		if e.Inform(103, nil) == nil {
			t.Error("an interim response after the final one is no error")
		}
	})
	c := s.dial(t)
	c.send(get)
	if head := c.head(); head != "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n" {
		t.Errorf("got %q", head)
	}
	if head := c.head(); head != "HTTP/1.1 102 Processing\r\n\r\n" {
		t.Errorf("got %q", head)
	}
	final := c.head()
	contains(t, final, "HTTP/1.1 200 OK\r\n")
	lacks(t, final, "Link")

	old := s.ask(t, "GET / HTTP/1.0\r\n\r\n")
	lacks(t, old, "103", "102", "Link")
	contains(t, old, "200 OK")
}

func TestTrailers(t *testing.T) {
	for name, header := range map[string]exchange.Header{
		"announced":   fields("Trailer", "X-Sum", "X-Sum", "of the head"),
		"unannounced": nil,
	} {
		t.Run(name, func(t *testing.T) {
			s := serve(t, func(e exchange.Exchange) {
				e.Respond(200, header, -1)
				e.Write([]byte("ab"))
				e.Trail(fields("X-Sum", "2", "Content-Length", "9"))
			})
			answer := s.ask(t, get)
			contains(t, answer, "2\r\nab\r\n0\r\nX-Sum: 2\r\n\r\n")
			lacks(t, answer, "Content-Length")
		})
	}
}

func TestFlushSendsAtOnce(t *testing.T) {
	more := make(chan struct{})
	s := serve(t, func(e exchange.Exchange) {
		e.Respond(200, nil, -1)
		e.Flush()
		<-more
		e.Write([]byte("x"))
		e.Flush()
		<-more
	})
	c := s.dial(t)
	c.send(get)
	c.head()
	more <- struct{}{}
	if line, _ := c.ReadString('\n'); line != "1\r\n" {
		t.Errorf("got %q", line)
	}
	close(more)
}

func TestAnswerBeforeTheBodyIsRead(t *testing.T) {
	s := serve(t, func(e exchange.Exchange) {
		e.Respond(200, nil, -1)
		if err := e.Flush(); err != nil {
			t.Error(err)
		}
		n, err := io.Copy(e, e.Request().Body)
		if n != 5 || err != nil {
			t.Errorf("%d bytes, %v", n, err)
		}
	})
	c := s.dial(t)
	c.send("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n\r\nab")
	contains(t, c.head(), "200 OK") // before the body is there
	c.send("cde")
	line, _ := c.ReadString('0')
	contains(t, strings.ReplaceAll(line, "\r\n", ""), "cde")
}

func TestSent(t *testing.T) {
	type sent struct {
		status int
		bytes  int64
	}
	reports := make(chan sent, 2)
	s := serve(t, func(e exchange.Exchange) {
		status, bytes := e.Sent()
		reports <- sent{status, bytes}
		e.Respond(201, nil, -1)
		e.Write([]byte("abc"))
		e.Write([]byte("de"))
		status, bytes = e.Sent()
		reports <- sent{status, bytes}
	})
	s.ask(t, get)
	if before, after := receive(t, reports), receive(t, reports); before != (sent{}) || after != (sent{201, 5}) {
		t.Errorf("sent %v, then %v", before, after)
	}
	s.ask(t, strings.Replace(get, "GET", "HEAD", 1))
	receive(t, reports)
	if after := receive(t, reports); after != (sent{201, 0}) {
		t.Errorf("to HEAD %v was sent", after)
	}
}

func TestWrongOrderIsAnError(t *testing.T) {
	s := serve(t, func(e exchange.Exchange) {
		if _, err := e.Write([]byte("x")); err == nil {
			t.Error("Write before Respond")
		}
		if e.Flush() == nil || e.Trail(nil) == nil {
			t.Error("Flush or Trail before Respond")
		}
		if e.Respond(100, nil, 0) == nil || e.Respond(1000, nil, 0) == nil || e.Inform(200, nil) == nil || e.Inform(101, nil) == nil {
			t.Error("a status out of its range")
		}
		ok(e)
		if e.Respond(200, nil, 0) == nil {
			t.Error("two heads")
		}
		if _, err := e.Upgrade(nil); err == nil {
			t.Error("Upgrade after Respond")
		}
	})
	contains(t, s.ask(t, get), "200 OK", "ok")
}

func TestClientGoneEndsTheContext(t *testing.T) {
	gone := make(chan error, 1)
	s := serve(t, func(e exchange.Exchange) {
		<-e.Context().Done()
		gone <- e.Respond(200, nil, 0)
	})
	c := s.dial(t)
	c.send(get)
	c.Conn.Close()
	if receive(t, gone) == nil {
		t.Error("a response to nobody is no error")
	}
}
