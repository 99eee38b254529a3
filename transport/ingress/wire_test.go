package ingress

import (
	"io"
	"strings"
	"testing"
	"time"

	"kamal-proxy/transport/calm"
	"kamal-proxy/transport/exchange"
)

// echoPath answers with the path, after a pause where it says so, if its client
// is still there.
func echoPath(e exchange.Exchange) {
	path := e.Request().Path
	if path == "/slow" {
		select {
		case <-e.Context().Done():
		case <-time.After(4 * lookoutInterval):
		}
	}
	e.Respond(200, nil, int64(len(path)))
	io.WriteString(e, path)
}

// answer reads one response with a Content-Length.
func (c *client) answer() (head, body string) {
	c.Helper()
	head = c.head()
	_, rest, ok := strings.Cut(head, "Content-Length: ")
	if !ok {
		c.Fatalf("no length in %q", head)
	}
	length := 0
	for i := 0; rest[i] != '\r'; i++ {
		length = length*10 + int(rest[i]-'0')
	}
	content := make([]byte, length)
	if _, err := io.ReadFull(c, content); err != nil {
		c.Fatal(err)
	}
	return head, string(content)
}

func TestPipelinedRequestsAreAnsweredInOrder(t *testing.T) {
	s := serve(t, echoPath)
	c := s.dial(t)
	paths := []string{"/slow", "/a", "/b", "/slow", "/" + strings.Repeat("long", 3000), "/c"}
	var all strings.Builder
	for _, path := range paths {
		all.WriteString("GET " + path + " HTTP/1.1\r\nHost: h\r\n\r\n")
	}
	requests := all.String()
	c.send(requests[:len(requests)-20])
	for i, path := range paths[:len(paths)-1] {
		if _, body := c.answer(); body != path {
			t.Fatalf("answer %d is of %q", i, body)
		}
	}
	c.send(requests[len(requests)-20:])
	if _, body := c.answer(); body != "/c" {
		t.Errorf("the last answer is of %q", body)
	}
}

func TestPipelinedBodiesAreTold(t *testing.T) {
	s := serve(t, func(e exchange.Exchange) {
		body, err := io.ReadAll(e.Request().Body)
		if err != nil {
			t.Error(err)
		}
		e.Respond(200, nil, int64(len(body)))
		e.Write(body)
	})
	c := s.dial(t)
	c.send("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\n\r\nabc" +
		"POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nde\r\n0\r\n\r\n" +
		"GET / HTTP/1.1\r\nHost: h\r\n\r\n" +
		"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\n\r\nfg")
	for _, want := range []string{"abc", "de", "", "fg"} {
		if _, body := c.answer(); body != want {
			t.Errorf("got %q, want %q", body, want)
		}
	}
}

func TestAnEmptyLineBehindABodyIsNoRequest(t *testing.T) {
	calm.Try(t, func(t testing.TB, unit time.Duration) {
		s := start(t, Config{HeadTimeout: unit, Handler: func(e exchange.Exchange) {
			io.Copy(io.Discard, e.Request().Body)
			ok(e)
		}})
		c := s.dial(t)
		for range 2 {
			c.send("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\n\r\nabc\r\n")
			head, _ := c.answer()
			contains(t, head, "200 OK")
			time.Sleep(2 * unit) // else it would be a head that takes too long
		}
	})
}

func TestWhoSendsItsNextRequestIsStillThere(t *testing.T) {
	s := serve(t, echoPath)
	c := s.dial(t)
	c.send("GET /slow HTTP/1.1\r\nHost: h\r\n\r\nGET /last HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n")
	c.Conn.(interface{ CloseWrite() error }).CloseWrite()
	for _, want := range []string{"/slow", "/last"} {
		if _, body := c.answer(); body != want {
			t.Errorf("got %q, want %q", body, want)
		}
	}
}

func TestHTTP10(t *testing.T) {
	s := serve(t, func(e exchange.Exchange) {
		length := int64(2)
		if e.Request().Path == "/unknown" {
			length = -1
		}
		e.Respond(200, nil, length)
		io.WriteString(e, "ok")
		e.Trail(fields("X", "y"))
	})
	t.Run("closes", func(t *testing.T) {
		answer := s.ask(t, "GET / HTTP/1.0\r\n\r\n")
		contains(t, answer, "Content-Length: 2\r\nConnection: close\r\n\r\nok")
	})
	t.Run("keeps where asked", func(t *testing.T) {
		c := s.dial(t)
		for range 3 {
			c.send("GET / HTTP/1.0\r\nConnection: Keep-Alive\r\n\r\n")
			head, _ := c.answer()
			contains(t, head, "Connection: keep-alive\r\n")
		}
	})
	t.Run("ends with the connection where the length is not known", func(t *testing.T) {
		answer := s.ask(t, "GET /unknown HTTP/1.0\r\nConnection: keep-alive\r\n\r\n")
		contains(t, answer, "Connection: close\r\n\r\nok")
		lacks(t, answer, "chunked", "Content-Length", "X: y")
		if !strings.HasSuffix(answer, "ok") {
			t.Errorf("got %q", answer)
		}
	})
}

func TestHeadAndSmallBodyAreOneWrite(t *testing.T) {
	s := serve(t, ok)
	c := s.dial(t)
	for range 20 {
		c.send("GET / HTTP/1.1\r\nHost: h\r\n\r\n")
		p := make([]byte, 1024)
		if n, err := c.Conn.Read(p); err != nil || !strings.HasSuffix(string(p[:n]), "\r\n\r\nok") {
			t.Fatalf("the first read has %q, %v", p[:n], err)
		}
	}
}

func TestDateOnEachResponse(t *testing.T) {
	s := respond(t, 200, fields("X-A", "1"), 0, "")
	answer := s.ask(t, get)
	_, date, ok := strings.Cut(answer, "Date: ")
	if !ok {
		t.Fatalf("no date in %q", answer)
	}
	date, _, _ = strings.Cut(date, "\r\n")
	when, err := time.Parse("Mon, 02 Jan 2006 15:04:05 GMT", date)
	if off := time.Since(when); err != nil || off < -time.Second || off > time.Minute {
		t.Errorf("date %q is off by %v, %v", date, off, err)
	}
	lacks(t, answer, "Server:")
}

func TestContinue(t *testing.T) {
	const head = "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\nExpect: 100-continue\r\n\r\n"
	readAll := func(e exchange.Exchange) {
		if body, err := io.ReadAll(e.Request().Body); err != nil || string(body) != "xy" {
			t.Errorf("read %q, %v", body, err)
		}
		ok(e)
	}
	t.Run("once", func(t *testing.T) {
		s := serve(t, func(e exchange.Exchange) {
			if err := e.Inform(100, nil); err != nil { // the target's
				t.Error(err)
			}
			e.Inform(100, nil)
			readAll(e)
		})
		c := s.dial(t)
		c.send(head)
		if got := c.head(); got != "HTTP/1.1 100 Continue\r\n\r\n" {
			t.Fatalf("got %q", got)
		}
		c.send("x")
		time.Sleep(short) // it waits once more
		c.send("y")
		contains(t, c.head(), "HTTP/1.1 200 OK\r\n")
	})
	t.Run("once, by itself", func(t *testing.T) {
		c := serve(t, readAll).dial(t)
		c.send(head)
		c.head()
		c.send("x")
		time.Sleep(short) // it waits once more
		c.send("y")
		contains(t, c.head(), "HTTP/1.1 200 OK\r\n")
	})
	t.Run("not where the body is there", func(t *testing.T) {
		c := serve(t, readAll).dial(t)
		c.send(head + "xy")
		contains(t, c.head(), "HTTP/1.1 200 OK\r\n")
	})
	t.Run("not after the final head", func(t *testing.T) {
		s := serve(t, func(e exchange.Exchange) {
			e.Respond(413, nil, 0)
			e.Flush()
			io.ReadAll(e.Request().Body)
		})
		c := s.dial(t)
		c.send(head)
		contains(t, c.head(), "HTTP/1.1 413 ", "Connection: close\r\n")
		c.send("xy")
		if rest, err := c.rest(); rest != "" || err != nil {
			t.Errorf("then %q, %v", rest, err)
		}
	})
	t.Run("not unasked", func(t *testing.T) {
		s := serve(t, func(e exchange.Exchange) {
			e.Inform(100, nil)
			ok(e)
		})
		contains(t, s.ask(t, get)[:17], "HTTP/1.1 200 OK\r\n")
	})
	t.Run("not to HTTP/1.0", func(t *testing.T) {
		c := serve(t, readAll).dial(t)
		c.send("POST / HTTP/1.0\r\nContent-Length: 2\r\nExpect: 100-continue\r\n\r\n")
		c.send("xy")
		contains(t, c.head(), "HTTP/1.1 200 OK\r\n")
	})
}

func TestMoreThanAnnouncedIsAnError(t *testing.T) {
	s := serve(t, func(e exchange.Exchange) {
		e.Respond(200, nil, 2)
		if _, err := e.Write([]byte("okay")); err == nil {
			t.Error("four bytes of two are no error")
		}
		e.Write([]byte("ok"))
	})
	if answer := s.ask(t, get); !strings.HasSuffix(answer, "\r\n\r\nok") {
		t.Errorf("got %q", answer)
	}
}

func TestAHeadThatCannotBeSentCanBeReplaced(t *testing.T) {
	s := serve(t, func(e exchange.Exchange) {
		if e.Respond(200, fields("X", "a\r\nY: b"), 0) == nil {
			t.Error("a line break in a field is no error")
		}
		e.Respond(502, nil, 0)
	})
	answer := s.ask(t, get)
	lacks(t, answer, "Y: b")
	contains(t, answer, "HTTP/1.1 502 ")
}

func TestJunkIsRefusedAtOnce(t *testing.T) {
	s := serve(t, ok)
	for _, junk := range []string{"\x16\x03\x01\x02\x00", "\x00", "\r\n\r\n\r\n", "GET"} {
		c := s.dial(t)
		c.send(junk)
		if junk == "GET" { // may become a request
			c.send("\x00")
		}
		c.Conn.(interface{ CloseWrite() error }).CloseWrite()
		answer, err := c.rest()
		if err != nil || junk != "GET" && !strings.HasPrefix(answer, "HTTP/1.1 400 ") {
			t.Errorf("%q got %q, %v", junk, answer, err)
		}
	}
}

// What apps take, we take: Puma's fields have up to 80 KiB, Go's heads more.
func TestLongLinesAreTaken(t *testing.T) {
	s := start(t, Config{Handler: ok, MaxHeaderBytes: 128 << 10})
	for name, head := range map[string]string{
		"target": "GET /" + strings.Repeat("x", 100<<10) + " HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n",
		"field":  "GET / HTTP/1.1\r\nHost: h\r\nConnection: close\r\nX: " + strings.Repeat("y", 100<<10) + "\r\n\r\n",
	} {
		if answer := s.ask(t, head); !strings.HasPrefix(answer, "HTTP/1.1 200 ") {
			t.Errorf("%s: got %.100q", name, answer)
		}
	}
}

func TestLargeHeadsAreRefused(t *testing.T) {
	s := serve(t, ok)
	for name, head := range map[string]string{
		"a line": "GET /" + strings.Repeat("x", 140<<10) + " HTTP/1.1\r\nHost: h\r\n\r\n",
		"lines":  "GET / HTTP/1.1\r\nHost: h\r\n" + strings.Repeat("X: y\r\n", 1001) + "\r\n",
		"all":    "GET / HTTP/1.1\r\nHost: h\r\n" + strings.Repeat("X: "+strings.Repeat("y", 1<<10)+"\r\n", 130) + "\r\n",
	} {
		answer := s.ask(t, head)
		if !strings.HasPrefix(answer, "HTTP/1.1 431 ") {
			t.Errorf("%s: got %.100q", name, answer)
		}
	}
}
