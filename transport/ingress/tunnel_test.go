package ingress

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"io"
	"strings"
	"testing"
	"time"

	"kamal-proxy/transport/exchange"
)

const websocket = "GET /ws HTTP/1.1\r\nHost: h\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n"

// echo upgrades, and sends back what comes until it ends.
func echo(t testing.TB, header exchange.Header) Handler {
	return func(e exchange.Exchange) {
		tunnel, err := e.Upgrade(header)
		if err != nil {
			t.Error(err)
			return
		}
		defer tunnel.Close()
		if status, _ := e.Sent(); status != 101 {
			t.Errorf("sent %d", status)
		}
		io.Copy(tunnel, tunnel)
		tunnel.CloseWrite()
	}
}

func TestUpgradeHandsOverTheConnection(t *testing.T) {
	s := serve(t, echo(t, fields("upgrade", "WebSocket", "x-Odd-CASE", "1", "Connection", "upgrade", "X-Odd-Case", "2")))
	c := s.dial(t)
	c.send(websocket + "early")
	const want = "HTTP/1.1 101 Switching Protocols\r\nx-Odd-CASE: 1\r\nX-Odd-Case: 2\r\nConnection: Upgrade\r\nUpgrade: WebSocket\r\n\r\n"
	if head := c.head(); head != want {
		t.Errorf("head %q, want %q", head, want)
	}
	read := func(want string) {
		t.Helper()
		got := make([]byte, len(want))
		if _, err := io.ReadFull(c, got); err != nil || string(got) != want {
			t.Errorf("got %q, %v, want %q", got, err, want)
		}
	}
	read("early")
	c.send("late")
	read("late")
	c.Conn.(interface{ CloseWrite() error }).CloseWrite()
	if rest, err := c.rest(); rest != "" || err != nil {
		t.Errorf("at the end %q, %v", rest, err)
	}
}

func TestATunnelOutlivesOneOfItsSides(t *testing.T) {
	s := serve(t, func(e exchange.Exchange) {
		done := e.Context().Done()
		tunnel, err := e.Upgrade(nil)
		if err != nil {
			t.Error(err)
			return
		}
		asked, _ := io.ReadAll(tunnel)
		select {
		case <-done:
			t.Error("the context ended")
		case <-time.After(4 * lookoutInterval):
		}
		tunnel.Write(asked)
	})
	c := s.dial(t)
	c.send(websocket)
	c.head()
	c.send("question")
	c.Conn.(interface{ CloseWrite() error }).CloseWrite()
	if rest, err := c.rest(); rest != "question" || err != nil {
		t.Errorf("got %q, %v", rest, err)
	}
}

func TestUpgradeNamesItsProtocol(t *testing.T) {
	s := serve(t, echo(t, nil))
	c := s.dial(t)
	c.send(websocket)
	if head := c.head(); head != "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n" {
		t.Errorf("head %q", head)
	}
}

func TestUpgradeOverTLS(t *testing.T) {
	s, _ := secure(t, echo(t, nil))
	conn, err := tls.Dial("tcp", s.addr, &tls.Config{InsecureSkipVerify: true, NextProtos: []string{"http/1.1"}})
	if err != nil {
		t.Fatal(err)
	}
	conn.SetDeadline(time.Now().Add(patience))
	c := &client{t, conn, bufio.NewReader(conn)}
	defer conn.Close()
	c.send(websocket + "early")
	c.head()
	conn.CloseWrite()
	if rest, err := c.rest(); rest != "early" || err != nil {
		t.Errorf("got %q, %v", rest, err)
	}
}

func TestNoUpgrade(t *testing.T) {
	refusals := make(chan error, 1)
	handler := func(e exchange.Exchange) {
		_, err := e.Upgrade(nil)
		refusals <- err
		ok(e)
	}
	s := serve(t, handler)
	contains(t, s.ask(t, get), "200 OK")
	if err := receive(t, refusals); !errors.Is(err, exchange.ErrNoUpgrade) {
		t.Errorf("got %v", err)
	}
	h2, web := secure(t, handler)
	response, err := web.Get("https://" + h2.addr)
	if err != nil {
		t.Fatal(err)
	}
	response.Body.Close()
	if err := receive(t, refusals); !errors.Is(err, exchange.ErrNoUpgrade) || response.StatusCode != 200 {
		t.Errorf("HTTP/2: got %v and %d", err, response.StatusCode)
	}
	bad := serve(t, func(e exchange.Exchange) {
		_, err := e.Upgrade(fields("X", "a\r\nY: b"))
		refusals <- err
		ok(e)
	})
	c := bad.dial(t)
	c.send(websocket)
	contains(t, c.head(), "200 OK")
	if receive(t, refusals) == nil {
		t.Error("a line break in a field is no error")
	}
}

func TestAbortEndsATunnel(t *testing.T) {
	aborts := make(chan func(), 1)
	s := serve(t, func(e exchange.Exchange) {
		aborts <- e.Abort
		echo(t, nil)(e)
	})
	c := s.dial(t)
	c.send(websocket)
	c.head()
	receive(t, aborts)()
	if _, err := c.ReadByte(); err == nil {
		t.Error("the tunnel lives")
	}
}

func TestShutdownWaitsForTunnels(t *testing.T) {
	s := serve(t, echo(t, nil))
	c := s.dial(t)
	c.send(websocket)
	c.head()
	down := make(chan error, 1)
	go func() { down <- s.Shutdown(context.Background()) }()
	within(t, "the port closes", func() bool { return !s.listens() })
	c.send("still here")
	if _, err := io.ReadFull(c, make([]byte, len("still here"))); err != nil {
		t.Fatal(err)
	}
	select {
	case err := <-down:
		t.Fatalf("shut down under an open tunnel: %v", err)
	default:
	}
	c.Conn.Close()
	if err := receive(t, down); err != nil {
		t.Error(err)
	}
}

func TestShutdownCutsTunnelsAtTheDeadline(t *testing.T) {
	s := serve(t, echo(t, nil))
	c := s.dial(t)
	c.send(websocket)
	c.head()
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Millisecond)
	defer cancel()
	if err := s.Shutdown(ctx); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("got %v", err)
	}
	if _, err := c.ReadByte(); err == nil || strings.Contains(err.Error(), "timeout") {
		t.Errorf("the tunnel lives: %v", err)
	}
	if err := s.conns.wait(t.Context()); err != nil {
		t.Errorf("a tunnel is still counted: %v", err)
	}
}

func TestShutdownLetsRequestsFinish(t *testing.T) {
	entered, leave := make(chan struct{}), make(chan struct{})
	s := serve(t, func(e exchange.Exchange) {
		entered <- struct{}{}
		<-leave
		ok(e)
	})
	c := s.dial(t)
	c.send("GET / HTTP/1.1\r\nHost: h\r\n\r\n")
	receive(t, entered)
	down := make(chan error, 1)
	go func() { down <- s.Shutdown(context.Background()) }()
	within(t, "the port closes", func() bool { return !s.listens() })
	close(leave)
	contains(t, c.head(), "200 OK", "Connection: close")
	if err := receive(t, down); err != nil {
		t.Error(err)
	}
}

func TestShutdownCutsRequestsAtTheDeadline(t *testing.T) {
	entered, ended := make(chan struct{}), make(chan struct{})
	s := serve(t, func(e exchange.Exchange) {
		close(entered)
		<-e.Context().Done()
		close(ended)
	})
	c := s.dial(t)
	c.send(get)
	receive(t, entered)
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Millisecond)
	defer cancel()
	if err := s.Shutdown(ctx); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("got %v", err)
	}
	receive(t, ended)
	if answer, _ := c.rest(); answer != "" {
		t.Errorf("answered %q", answer)
	}
}

// listens reports whether the site's port takes connections.
func (s *site) listens() bool {
	conn, err := tls.Dial("tcp", s.addr, nil)
	if err == nil {
		conn.Close()
	}
	return err == nil || !strings.Contains(err.Error(), "refused")
}
