package ingress

import (
	"errors"
	"io"
	"os"
	"strings"
	"testing"
	"time"

	"kamal-proxy/transport/calm"
	"kamal-proxy/transport/exchange"
	"kamal-proxy/transport/socket"
)

// A body that is taken within the kernel stalls as any other one does, once,
// and what comes behind it is the next request.
func TestABodyInAPipe(t *testing.T) {
	type outcome struct {
		moved int
		rest  string
		err   error
		took  time.Duration
	}
	ended := make(chan outcome, 1)
	handler := func(e exchange.Exchange) {
		pipe := socket.NewPipe()
		if pipe == nil {
			t.Error("there are no pipes to be had")
			return
		}
		defer pipe.Close()
		var o outcome
		since := time.Now()
		source := e.Request().Body.(exchange.Source)
		for n := source.Fill(pipe, 5); n > 0; n = source.Fill(pipe, 1) {
			o.moved += n
			io.Copy(io.Discard, pipe)
			since = time.Now()
		}
		var rest []byte
		rest, o.err = io.ReadAll(e.Request().Body)
		o.rest, o.took = string(rest), time.Since(since)
		ended <- o
		e.Respond(200, nil, 0)
	}
	for _, c := range []struct {
		name  string
		parts []string
		want  outcome
	}{
		{"whole", []string{"xx", "yyy", "zzzzz"}, outcome{moved: 10}},
		{"all with the head", []string{"\r\nxxyyyzzzzz"}, outcome{rest: "xxyyyzzzzz"}},
		{"stalled", []string{"xx", "yyy"}, outcome{moved: 5, err: os.ErrDeadlineExceeded}},
	} {
		t.Run(c.name, func(t *testing.T) {
			calm.Try(t, func(t testing.TB, unit time.Duration) {
				conn := start(t, Config{BodyStall: 4 * unit, Handler: handler}).dial(t)
				head := "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 10\r\n\r\n"
				if first, together := strings.CutPrefix(c.parts[0], "\r\n"); together {
					conn.send(head + first)
				} else {
					conn.send(head)
					for _, part := range c.parts {
						time.Sleep(unit) // apart on the wire
						conn.send(part)
					}
				}
				got := receive(t, ended)
				if got.moved != c.want.moved || got.rest != c.want.rest || !errors.Is(got.err, c.want.err) {
					t.Errorf("got %+v, want %+v", got, c.want)
				}
				if got.took > 7*unit {
					t.Errorf("it was waited for %v, the limit is %v", got.took, 4*unit)
				}
				contains(t, conn.head(), "200")
				if c.want.err == nil {
					conn.send("GET / HTTP/1.1\r\nHost: h\r\n\r\n")
					receive(t, ended)
					contains(t, conn.head(), "200")
				}
			})
		})
	}
}

// Whoever closes a body ends a wait for it within the kernel, too.
func TestABodyInAPipeIsClosed(t *testing.T) {
	filling, filled := make(chan io.Closer), make(chan int, 1)
	s := start(t, Config{Handler: func(e exchange.Exchange) {
		pipe := socket.NewPipe()
		defer pipe.Close()
		filling <- e.Request().Body.(io.Closer)
		filled <- e.Request().Body.(exchange.Source).Fill(pipe, 5)
		e.Respond(200, nil, 0)
	}})
	c := s.dial(t)
	c.send("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 10\r\n\r\n")
	receive(t, filling).Close()
	if n := receive(t, filled); n != 0 {
		t.Errorf("%d bytes were moved", n)
	}
	contains(t, c.head(), "200", "Connection: close\r\n")
}
