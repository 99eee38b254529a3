package http2

import (
	"context"
	"errors"
	"io"
	"os"
	"strings"
	"testing"
	"time"

	"golang.org/x/net/http2"

	"kamal-proxy/transport/calm"
	"kamal-proxy/transport/exchange"
)

const short = 50 * time.Millisecond

// held returns a handler that waits for its release, and the exchanges that do.
func held() (h handler, exchanges chan exchange.Exchange, release chan struct{}) {
	exchanges, release = make(chan exchange.Exchange, 16), make(chan struct{})
	return func(e exchange.Exchange) {
		exchanges <- e
		<-release
		ok(e)
	}, exchanges, release
}

func TestTheContextEndsWithTheClient(t *testing.T) {
	for name, leave := range map[string]func(*client){
		"reset":      func(c *client) { c.WriteRSTStream(1, http2.ErrCodeCancel) },
		"disconnect": func(c *client) { c.Conn.Close() },
		"broken":     func(c *client) { c.WritePing(false, [8]byte{}); c.WriteRawFrame(http2.FramePing, 0, 0, nil) },
	} {
		t.Run(name, func(t *testing.T) {
			ended, failed := make(chan error, 1), make(chan error, 3)
			begun, after, stopped := make(chan struct{}), make(chan struct{}), make(chan bool, 1)
			c := serve(t, func(e exchange.Exchange) {
				ctx := e.Context()
				watcher := ctx.(interface{ AfterFunc(func()) func() bool })
				stop := watcher.AfterFunc(func() { t.Error("a stopped function has run") })
				stopped <- stop() && !stop()
				watcher.AfterFunc(func() { close(after) })
				child, cancel := context.WithCancel(ctx)
				defer cancel()
				close(begun)
				<-child.Done()
				ended <- ctx.Err()
				_, err := e.Request().Body.Read(make([]byte, 1))
				failed <- err
				failed <- e.Respond(200, nil, -1)
				_, err = e.Write([]byte("x"))
				failed <- err
			}).dial(t)
			c.request(1, false, post...)
			<-begun
			leave(c)
			if err := receive(t, ended); !errors.Is(err, context.Canceled) {
				t.Errorf("ended with %v", err)
			}
			receive(t, after)
			if !receive(t, stopped) {
				t.Error("stop says that it came too late, or twice in time")
			}
			if err := receive(t, failed); !errors.Is(err, io.ErrUnexpectedEOF) {
				t.Errorf("the body: %v", err)
			}
			if receive(t, failed) == nil || receive(t, failed) == nil {
				t.Error("a response is sent to nobody")
			}
		})
	}
}

func TestTheContextEndsWithTheExchange(t *testing.T) {
	contexts := make(chan context.Context, 2)
	c := serve(t, func(e exchange.Exchange) {
		contexts <- e.Context()
		e.Context().Done()
		ok(e)
	}).dial(t)
	c.request(1, true, get...)
	c.answer(1)
	receive(t, receive(t, contexts).Done())
}

func TestAbortEndsEachWait(t *testing.T) {
	exchanges, failed := make(chan exchange.Exchange, 1), make(chan error, 1)
	for name, wait := range map[string]func(e exchange.Exchange) error{
		"body": func(e exchange.Exchange) error { _, err := io.ReadAll(e.Request().Body); return err },
		"window": func(e exchange.Exchange) error {
			e.Respond(200, nil, -1)
			_, err := io.WriteString(e, strings.Repeat("x", 1000))
			return err
		},
		"socket": func(e exchange.Exchange) error {
			e.Respond(200, nil, -1)
			for {
				if _, err := e.Write(make([]byte, 100<<10)); err != nil {
					return err
				}
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			size := uint32(10)
			if name == "socket" {
				size = 1<<31 - 1
			}
			c := serve(t, func(e exchange.Exchange) {
				exchanges <- e
				failed <- wait(e)
			}).dial(t, window(size))
			c.WriteWindowUpdate(0, 1<<30)
			c.request(1, false, post...)
			e := receive(t, exchanges)
			if name != "body" {
				eventually(t, "a response has begun", func() bool {
					c := e.(*stream).conn
					c.mu.Lock()
					defer c.mu.Unlock()
					return e.(*stream).headSent
				})
			}
			e.Abort()
			if receive(t, failed) == nil {
				t.Error("there is no error")
			}
			e.Abort() // too late
		})
	}
}

func TestABodyThatStallsFails(t *testing.T) {
	calm.Try(t, func(t testing.TB, unit time.Duration) {
		failed := make(chan error, 1)
		c := start(t, Config{BodyStall: 4 * unit, Handler: func(e exchange.Exchange) {
			body, err := io.ReadAll(e.Request().Body)
			if len(body) != 5 {
				t.Errorf("%d bytes have come", len(body))
			}
			failed <- err
			e.Respond(408, nil, 0)
		}}).dial(t)
		c.request(1, false, post...)
		tick := time.NewTicker(unit)
		defer tick.Stop()
		for range 5 { // longer than the limit in all
			<-tick.C
			c.WriteData(1, false, []byte("x"))
		}
		if err := receive(t, failed); !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("got %v", err)
		}
		if head, _, _ := c.answer(1); head.get(":status") != "408" {
			t.Errorf("got %v", head)
		}
	})
}

func TestSlowHeadsAreCutOff(t *testing.T) {
	config := Config{Handler: ok, HeadTimeout: 2 * short}
	for name, send := range map[string]func(*client){
		"nothing":      func(c *client) {},
		"half preface": func(c *client) { io.WriteString(c.Conn, http2.ClientPreface[:10]) },
		"no SETTINGS":  func(c *client) { io.WriteString(c.Conn, http2.ClientPreface) },
		"half a frame": func(c *client) {
			io.WriteString(c.Conn, http2.ClientPreface)
			c.WriteSettings()
			c.Conn.Write([]byte{0, 0, 9, 1})
		},
		"no end of it": func(c *client) {
			io.WriteString(c.Conn, http2.ClientPreface)
			c.WriteSettings()
			c.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: c.encode(get...)})
		},
		"byte for byte": func(c *client) {
			io.WriteString(c.Conn, http2.ClientPreface)
			c.WriteSettings()
			go func() {
				for i := range 1000 { // of a frame of HEADERS
					if _, err := c.Conn.Write(append([]byte{0, 32, 0, 1, 4, 0, 0, 0, 1}, make([]byte, 1000)...)[i : i+1]); err != nil {
						return
					}
					<-time.After(short / 5)
				}
			}()
		},
	} {
		t.Run(name, func(t *testing.T) {
			s, begun := start(t, config), time.Now()
			c := s.connect(t)
			send(c)
			c.goaway()
			if d := time.Since(begun); d < config.HeadTimeout || d > patience/2 {
				t.Errorf("after %v", d)
			}
		})
	}
}

func TestIdleConnectionsGoInGoodOrder(t *testing.T) {
	calm.Try(t, func(t testing.TB, unit time.Duration) {
		c := start(t, Config{Handler: ok, IdleTimeout: 2 * unit}).dial(t)
		c.request(1, true, get...)
		c.answer(1)
		if e := c.want("goaway", 0); e.number != 1<<31-1 || e.code != http2.ErrCodeNo {
			t.Errorf("first %v", e)
		}
		ping := c.want("ping", 0)
		c.request(3, true, get...) // on its way when the client was told
		c.answer(3)
		c.WritePing(true, [8]byte([]byte(ping.data)))
		if e := c.want("goaway", 0); e.number != 3 || e.code != http2.ErrCodeNo {
			t.Errorf("second %v", e)
		}
		if e := c.next(); e.kind != "closed" {
			t.Errorf("then %v", e)
		}
	})
}

// TestPingsKeepNoIdleConnection sends them faster than any read is overdue.
func TestPingsKeepNoIdleConnection(t *testing.T) {
	c := start(t, Config{Handler: ok, IdleTimeout: 2 * short}).dial(t)
	c.request(1, true, get...)
	c.answer(1)
	tick := time.NewTicker(short / 5)
	defer tick.Stop()
	over := make(chan struct{})
	defer close(over)
	go func() {
		for {
			select {
			case <-over:
				return
			case <-tick.C:
				c.WritePing(false, [8]byte{})
			}
		}
	}()
	if e := c.goaway(); e.code != http2.ErrCodeNo {
		t.Errorf("ended by %v", e)
	}
}

func TestABusyConnectionIsNotIdle(t *testing.T) {
	calm.Try(t, func(t testing.TB, unit time.Duration) {
		h, exchanges, release := held()
		c := start(t, Config{Handler: h, IdleTimeout: unit}).dial(t)
		c.request(1, true, get...)
		receive(t, exchanges)
		<-time.After(6 * unit)
		close(release)
		c.answer(1)
	})
}

func TestShutdownWaitsForRequests(t *testing.T) {
	calm.Try(t, func(t testing.TB, unit time.Duration) {
		h, exchanges, release := held()
		s := serve(t, h)
		c := s.dial(t)
		c.request(1, true, get...)
		receive(t, exchanges)
		done := make(chan error, 1)
		go func() { done <- s.Shutdown(within(t, patience)) }()
		c.want("goaway", 0)
		ping := c.want("ping", 0)
		c.request(3, true, get...)
		receive(t, exchanges)
		c.WritePing(true, [8]byte([]byte(ping.data)))
		if e := c.want("goaway", 0); e.number != 3 {
			t.Errorf("got %v", e)
		}
		c.request(5, true, get...) // too late: nobody looks at it
		select {
		case err := <-done:
			t.Fatalf("it has not waited: %v", err)
		case <-time.After(unit):
		}
		close(release)
		ends := 0
		for e := c.next(); e.kind != "closed"; e = c.next() {
			if e.stream == 5 {
				t.Errorf("got %v", e)
			}
			if e.end {
				ends++
			}
		}
		if err := receive(t, done); err != nil || ends != 2 {
			t.Errorf("%d responses have ended, %v", ends, err)
		}
		if late := s.connect(t); late.next().kind != "closed" {
			t.Error("it serves another connection")
		}
	})
}

func TestShutdownCutsOffWhatDoesNotEnd(t *testing.T) {
	s := serve(t, func(e exchange.Exchange) { <-e.Context().Done() })
	c := s.dial(t)
	c.request(1, true, get...)
	eventually(t, "it is served", func() bool { return s.Count() == 1 })
	ctx, cancel := context.WithTimeout(t.Context(), short)
	defer cancel()
	if err := s.Shutdown(ctx); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("got %v", err)
	}
	c.goaway()
}

func TestAClientThatSaysGoodbyeIsServedToTheEnd(t *testing.T) {
	h, exchanges, release := held()
	c := serve(t, h).dial(t)
	c.request(1, true, get...)
	receive(t, exchanges)
	c.WriteGoAway(0, http2.ErrCodeNo, nil)
	c.want("goaway", 0)
	c.want("ping", 0)
	c.WritePing(true, retirement)
	c.want("goaway", 0)
	close(release)
	c.answer(1)
	if e := c.next(); e.kind != "closed" {
		t.Errorf("got %v", e)
	}
}

func TestConnectionCloseAndMaxRequestsRetire(t *testing.T) {
	for name, config := range map[string]Config{
		"close": {Handler: func(e exchange.Exchange) { e.Respond(301, fields("Connection", "close"), 0) }},
		"most":  {Handler: ok, MaxRequests: 1},
	} {
		t.Run(name, func(t *testing.T) {
			c := start(t, config).dial(t)
			c.request(1, true, get...)
			saw := map[string]bool{}
			for e := c.next(); e.kind != "closed"; e = c.next() {
				saw[e.kind] = true
				if e.kind == "ping" {
					c.WritePing(true, retirement)
				}
			}
			if !saw["headers"] || !saw["goaway"] {
				t.Errorf("saw %v", saw)
			}
		})
	}
}

func TestIdleConnectionsAreDismissed(t *testing.T) {
	calm.Try(t, func(t testing.TB, _ time.Duration) {
		h, exchanges, release := held()
		s := serve(t, h)
		busy := s.dial(t)
		busy.request(1, true, get...)
		receive(t, exchanges)
		begun := time.Now()
		idle := s.dial(t)
		idle.WritePing(false, [8]byte{})
		idle.want("pong", 0)
		var dismissals []func() bool
		s.EachIdle(func(since time.Time, dismiss func() bool) {
			if since.Before(begun) || since.After(time.Now()) {
				t.Errorf("idle since %v", since)
			}
			dismissals = append(dismissals, dismiss)
		})
		if len(dismissals) != 1 {
			t.Fatalf("%d are idle", len(dismissals))
		}
		if !dismissals[0]() || dismissals[0]() {
			t.Error("it is not dismissed once")
		}
		if e := idle.goaway(); e.number != 0 || e.code != http2.ErrCodeNo {
			t.Errorf("got %v", e)
		}
		eventually(t, "it is gone, although its client does nothing", func() bool { return s.Count() == 1 })
		if d := time.Since(begun); d > lingerTime/2 {
			t.Errorf("after %v", d)
		}
		close(release)
		busy.answer(1)
	})
}
