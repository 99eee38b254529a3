package ingress

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"kamal-proxy/transport/exchange"
)

func TestLeavingIsNoticedHoweverItIsWatched(t *testing.T) {
	for name, watch := range map[string]func(context.Context) <-chan struct{}{
		"Done": context.Context.Done,
		"AfterFunc": func(ctx context.Context) <-chan struct{} {
			called := make(chan struct{})
			ctx.(interface{ AfterFunc(func()) func() bool }).AfterFunc(func() { close(called) })
			return called
		},
		"a child": func(ctx context.Context) <-chan struct{} {
			child, cancel := context.WithCancelCause(ctx)
			t.Cleanup(func() { cancel(nil) })
			return child.Done()
		},
	} {
		t.Run(name, func(t *testing.T) {
			entered, ended := make(chan struct{}), make(chan error, 1)
			s := serve(t, func(e exchange.Exchange) {
				watched := watch(e.Context())
				close(entered)
				<-watched
				ended <- e.Context().Err()
			})
			c := s.dial(t)
			c.send("GET / HTTP/1.1\r\nHost: h\r\n\r\n")
			receive(t, entered)
			time.Sleep(3 * lookoutInterval) // it is looked for more than once
			select {
			case <-ended:
				t.Fatal("it has not left yet")
			default:
			}
			c.Conn.Close()
			if err := receive(t, ended); !errors.Is(err, context.Canceled) {
				t.Errorf("ended with %v", err)
			}
		})
	}
}

func TestLeavingIsNoticedUnderTLS(t *testing.T) {
	entered, ended := make(chan struct{}), make(chan struct{})
	s, _ := secure(t, func(e exchange.Exchange) {
		close(entered)
		<-e.Context().Done()
		close(ended)
	})
	conn, err := tls.Dial("tcp", s.addr, &tls.Config{InsecureSkipVerify: true})
	if err != nil {
		t.Fatal(err)
	}
	io.WriteString(conn, "GET / HTTP/1.1\r\nHost: h\r\n\r\n")
	receive(t, entered)
	conn.Close()
	receive(t, ended)
}

func TestWhatWasStoppedIsNotCalled(t *testing.T) {
	s := serve(t, func(e exchange.Exchange) {
		ctx := e.Context().(interface{ AfterFunc(func()) func() bool })
		stop := ctx.AfterFunc(func() { t.Error("called") })
		if !stop() {
			t.Error("stopped too late")
		}
		if e.Request().Path == "/gone" {
			called := make(chan struct{})
			late := ctx.AfterFunc(func() { close(called) })
			e.Abort()
			<-called
			if late() {
				t.Error("stopped what has been called")
			}
			at := make(chan struct{})
			ctx.AfterFunc(func() { close(at) })
			<-at
		}
		ok(e)
	})
	c := s.dial(t)
	for range 3 {
		c.send("GET / HTTP/1.1\r\nHost: h\r\n\r\n")
		c.answer()
	}
	c.send("GET /gone HTTP/1.1\r\nHost: h\r\n\r\n")
	c.rest()
}

func TestWhatWasNotStoppedIsCalledInTheEnd(t *testing.T) {
	called := make(chan struct{}, 3)
	var stops []func() bool
	s := serve(t, func(e exchange.Exchange) {
		ctx := e.Context().(interface{ AfterFunc(func()) func() bool })
		stops = append(stops, ctx.AfterFunc(func() { called <- struct{}{} }))
		for _, stop := range stops[:len(stops)-1] {
			if stop() {
				t.Error("an earlier exchange's stop works")
			}
		}
		ok(e)
	})
	c := s.dial(t)
	for range 3 {
		c.send("GET / HTTP/1.1\r\nHost: h\r\n\r\n")
		c.answer()
		receive(t, called)
	}
}

func TestAClientThatLeavesMidBodyFailsTheRead(t *testing.T) {
	failed := make(chan error, 1)
	s := serve(t, func(e exchange.Exchange) {
		_, err := io.ReadAll(e.Request().Body)
		failed <- err
	})
	c := s.dial(t)
	c.send("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n\r\nab")
	c.Conn.Close()
	if err := receive(t, failed); !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("got %v", err)
	}
}

func TestClosingABodyWakesItsReader(t *testing.T) {
	for name, secured := range map[string]bool{"plain": false, "TLS": true} {
		t.Run(name, func(t *testing.T) {
			reading, failed := make(chan struct{}), make(chan error, 2)
			handler := func(e exchange.Exchange) {
				body := e.Request().Body
				done := make(chan struct{})
				go func() {
					defer close(done)
					close(reading)
					_, err := body.Read(make([]byte, 10))
					failed <- err
					_, err = body.Read(make([]byte, 10))
					failed <- err
				}()
				receive(t, reading)
				body.(io.Closer).Close()
				<-done
				ok(e)
			}
			s := serve(t, handler)
			c := s.dial(t)
			if secured {
				s, _ = secure(t, handler)
				c = s.dial(t)
				conn := tls.Client(c.Conn, &tls.Config{InsecureSkipVerify: true})
				c.Conn = conn
				c.Reader.Reset(conn)
			}
			c.send("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n\r\n")
			for range 2 {
				if err := receive(t, failed); !errors.Is(err, errUploadClosed) {
					t.Errorf("read with %v", err)
				}
			}
			head, body := c.answer()
			contains(t, head, "200 OK", "Connection: close\r\n")
			if rest, err := c.rest(); body != "ok" || rest != "" || err != nil {
				t.Errorf("got %q, then %q, %v", body, rest, err)
			}
		})
	}
}

func TestALateCloseOfABodyHarmsNobody(t *testing.T) {
	var first io.Closer
	s := serve(t, func(e exchange.Exchange) {
		if first == nil {
			first = e.Request().Body.(io.Closer)
		} else {
			first.Close()
		}
		if body, err := io.ReadAll(e.Request().Body); err != nil || string(body) != "abc" {
			t.Errorf("read %q, %v", body, err)
		}
		ok(e)
	})
	c := s.dial(t)
	for range 3 {
		c.send("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\n\r\nab")
		time.Sleep(time.Millisecond)
		c.send("c")
		c.answer()
	}
}

// Requests, and late calls about the ones before from other goroutines.
func TestLateCallsFromEverywhere(t *testing.T) {
	var late sync.WaitGroup
	type call struct {
		exchange.Exchange
		io.Closer
	}
	var before [4]*call
	s := serve(t, func(e exchange.Exchange) {
		client := e.Request().Path[1] - '0'
		if before := before[client]; before != nil {
			late.Go(func() {
				before.Abort()
				before.Close()
			})
		}
		before[client] = &call{e, e.Request().Body.(io.Closer)}
		e.Context().Done()
		io.Copy(io.Discard, e.Request().Body)
		ok(e)
	})
	var clients sync.WaitGroup
	for i := range before {
		c := s.dial(t)
		clients.Go(func() {
			for n := range 200 {
				c.send("POST /" + itoa(i) + " HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\n\r\nab")
				runtime.Gosched()
				c.send("c")
				if head := c.head(); !strings.HasPrefix(head, "HTTP/1.1 200 OK") {
					t.Errorf("request %d: %q", n, head)
					return
				}
				io.ReadFull(c, make([]byte, 2))
			}
		})
	}
	clients.Wait()
	late.Wait()
}
