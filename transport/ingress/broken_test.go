package ingress

import (
	"crypto/tls"
	"io"
	"strings"
	"testing"
	"time"

	"kamal-proxy/transport/crash"
	"kamal-proxy/transport/exchange"
)

// broken asks, and returns what came before the connection broke off without
// the end of a message.
func broken(t *testing.T, s *site, request string) string {
	t.Helper()
	c := s.dial(t)
	c.send(request)
	answer, _ := c.rest()
	if strings.HasSuffix(answer, "0\r\n\r\n") {
		t.Errorf("%q looks whole", answer)
	}
	return answer
}

func TestAbortClosesTheConnection(t *testing.T) {
	s := serve(t, func(e exchange.Exchange) {
		e.Respond(200, nil, -1)
		e.Write([]byte("part"))
		e.Flush()
		done := make(chan struct{})
		go func() { e.Abort(); e.Abort(); close(done) }()
		<-done
		if e.Respond(200, nil, 0) == nil {
			t.Error("a second head after Abort")
		}
	})
	contains(t, broken(t, s, get), "part")

	c := s.dial(t)
	c.send("GET / HTTP/1.0\r\n\r\n")
	if answer, err := c.rest(); err == nil {
		t.Errorf("HTTP/1.0 cannot tell that %q was broken off", answer)
	}
}

func TestAbortUnblocksAWriter(t *testing.T) {
	ended := make(chan error, 1)
	aborts := make(chan func(), 1)
	s := serve(t, func(e exchange.Exchange) {
		aborts <- e.Abort
		e.Respond(200, nil, -1)
		var err error
		for piece := make([]byte, 1<<16); err == nil; {
			_, err = e.Write(piece) // nobody reads
		}
		ended <- err
	})
	c := s.dial(t)
	c.send(get)
	receive(t, aborts)()
	receive(t, ended)
}

func TestAbortUnblocksAWriterUnderTLS(t *testing.T) {
	ended, aborts := make(chan error, 1), make(chan func(), 1)
	s, _ := secure(t, func(e exchange.Exchange) {
		aborts <- e.Abort
		e.Respond(200, nil, -1)
		var err error
		for piece := make([]byte, 1<<16); err == nil; {
			_, err = e.Write(piece) // nobody reads
		}
		ended <- err
	})
	conn, err := tls.Dial("tcp", s.addr, &tls.Config{InsecureSkipVerify: true})
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	io.WriteString(conn, get)
	abort := receive(t, aborts)
	time.Sleep(short) // it writes until it is blocked
	abort()
	receive(t, ended)
}

func TestWhatIsNotWholeIsBrokenOff(t *testing.T) {
	for name, handler := range map[string]Handler{
		"no answer": func(exchange.Exchange) {},
		"too short": func(e exchange.Exchange) { e.Respond(200, nil, 5); e.Write([]byte("ab")) },
		"panic":     func(e exchange.Exchange) { e.Respond(200, nil, -1); e.Flush(); panic("oops") },
	} {
		t.Run(name, func(t *testing.T) {
			s := serve(t, handler)
			before := crash.Total()
			answer := broken(t, s, "GET /path HTTP/1.1\r\nHost: h\r\n\r\n")
			if name == "no answer" && answer != "" {
				t.Errorf("got %q", answer)
			}
			if name == "panic" {
				contains(t, s.log.String(), `"level":"error"`, "oops", "/path")
				if n := crash.Total() - before; n != 1 {
					t.Errorf("%d panics were counted", n)
				}
			}
		})
	}
}

func TestALateAbortHarmsNobody(t *testing.T) {
	var first exchange.Exchange
	s := serve(t, func(e exchange.Exchange) {
		if first == nil {
			first = e
		} else {
			first.Abort()
		}
		ok(e)
	})
	c := s.dial(t)
	for range 2 {
		c.send("GET / HTTP/1.1\r\nHost: h\r\n\r\n")
		contains(t, c.head(), "200 OK")
		if _, err := io.ReadFull(c, make([]byte, 2)); err != nil {
			t.Fatal(err)
		}
	}
}

func TestHalfAHeadIsCutOff(t *testing.T) {
	s := start(t, Config{Handler: ok, HeadTimeout: 50 * time.Millisecond, IdleTimeout: 50 * time.Millisecond})
	begun := time.Now()
	c := s.dial(t)
	c.send("GET / HTTP/1.1\r\nHos")
	if answer, err := c.rest(); time.Since(begun) > patience/2 {
		t.Errorf("half a head was held: %q, %v", answer, err)
	}
	idle := s.dial(t)
	idle.send("GET / HTTP/1.1\r\nHost: h\r\n\r\n")
	idle.rest()
	if time.Since(begun) > patience/2 {
		t.Error("an idle connection was kept")
	}
}
