package ingress

import (
	"context"
	"crypto"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"kamal-proxy/transport/calm"
	"kamal-proxy/transport/exchange"
)

const short = 50 * time.Millisecond

func TestASlowHeadIsAnsweredAndCutOff(t *testing.T) {
	calm.Try(t, func(t testing.TB, unit time.Duration) {
		s := start(t, Config{Handler: ok, HeadTimeout: 2 * unit})
		c := s.dial(t)
		c.send("GET / HTTP/1.1\r\nHost: h\r\n\r\n")
		c.answer()
		begun := time.Now()
		stop := make(chan struct{})
		defer close(stop)
		go func() { // byte after byte: that it goes on does not give it more time
			for _, b := range "GET / HTTP/1.1\r\nX: " + strings.Repeat("x", 1000) {
				select {
				case <-stop:
					return
				case <-time.After(unit / 10):
					if _, err := c.Conn.Write([]byte{byte(b)}); err != nil {
						return
					}
				}
			}
		}()
		contains(t, c.head(), "HTTP/1.1 408 ", "Connection: close\r\n")
		if d := time.Since(begun); d > patience/2 {
			t.Errorf("after %v", d)
		}
	})
}

func TestAnIdleConnectionIsClosedInSilence(t *testing.T) {
	calm.Try(t, func(t testing.TB, unit time.Duration) {
		s := start(t, Config{Handler: ok, IdleTimeout: unit})
		c := s.dial(t)
		if answer, err := c.rest(); answer != "" || err != nil {
			t.Errorf("got %q, %v", answer, err)
		}
		c = s.dial(t)
		c.send("GET / HTTP/1.1\r\nHost: h\r\n\r\n")
		c.answer()
		if answer, err := c.rest(); answer != "" || err != nil {
			t.Errorf("after a request %q, %v", answer, err)
		}
	})
}

func TestAStalledBodyFailsItsRead(t *testing.T) {
	calm.Try(t, func(t testing.TB, unit time.Duration) {
		failed := make(chan error, 1)
		s := start(t, Config{BodyStall: 4 * unit, Handler: func(e exchange.Exchange) {
			body, err := io.ReadAll(e.Request().Body)
			if len(body) != 5 {
				t.Errorf("%d bytes have come", len(body))
			}
			failed <- err
			e.Respond(408, nil, 0)
		}})
		c := s.dial(t)
		c.send("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 9\r\n\r\n")
		for range 5 { // longer than the limit in all
			time.Sleep(unit)
			c.send("x")
		}
		if err := receive(t, failed); !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("got %v", err)
		}
		contains(t, c.head(), "408", "Connection: close\r\n")
	})
}

func TestNoLimitForResponses(t *testing.T) {
	calm.Try(t, func(t testing.TB, unit time.Duration) {
		all := Config{HeadTimeout: unit, IdleTimeout: unit, BodyStall: unit}
		all.Handler = func(e exchange.Exchange) {
			time.Sleep(3 * unit)
			e.Respond(200, nil, -1)
			e.Flush()
			time.Sleep(3 * unit)
			io.WriteString(e, "late")
		}
		s := start(t, all)
		contains(t, s.ask(t, get), "4\r\nlate\r\n0\r\n\r\n")

		all.Handler = echo(t, nil)
		c := start(t, all).dial(t)
		c.send(websocket)
		c.head()
		time.Sleep(3 * unit)
		c.send("late")
		if _, err := io.ReadFull(c, make([]byte, 4)); err != nil {
			t.Errorf("a tunnel was cut: %v", err)
		}
	})
}

func TestASlowHandshakeIsCutOff(t *testing.T) {
	calm.Try(t, func(t testing.TB, unit time.Duration) {
		s := start(t, Config{Handler: ok, HeadTimeout: unit, TLS: tlsConfig(nil)})
		c := s.dial(t)
		c.send("\x16")
		if answer, err := c.rest(); answer != "" || err != nil {
			t.Errorf("got %q, %v", answer, err)
		}
	})
}

func TestPlainHTTPToTheTLSPortIsTold(t *testing.T) {
	s := start(t, Config{Handler: ok, TLS: tlsConfig(nil)})
	contains(t, s.ask(t, get), "HTTP/1.1 400 Bad Request\r\n", "HTTPS")
}

func TestHTTP1OverTLS(t *testing.T) {
	s, _ := secure(t, func(e exchange.Exchange) {
		if e.Request().Scheme != "https" {
			t.Errorf("scheme %q", e.Request().Scheme)
		}
		body, _ := io.ReadAll(e.Request().Body)
		e.Respond(200, nil, int64(len(body)))
		e.Write(body)
	})
	conn, err := tls.Dial("tcp", s.addr, &tls.Config{InsecureSkipVerify: true})
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	c := s.dial(t)
	c.Conn = conn
	c.Reader.Reset(conn)
	for _, size := range []int{0, 1, 3000, 100_000} {
		body := strings.Repeat("x", size)
		c.send("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: " + itoa(size) + "\r\n\r\n" + body)
		if _, got := c.answer(); got != body {
			t.Errorf("of %d bytes %d came back", size, len(got))
		}
	}
	c.send("G") // a record of one byte
	c.send("ET / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n")
	contains(t, c.head(), "200 OK")
	if _, err := c.rest(); err != nil { // close_notify came
		t.Error(err)
	}
}

func TestTooManyConnections(t *testing.T) {
	entered, leave := make(chan struct{}, 2), make(chan struct{})
	s := start(t, Config{Crowd: NewCrowd(CrowdLimits{Connections: 2}), Handler: func(e exchange.Exchange) {
		entered <- struct{}{}
		<-leave
		ok(e)
	}})
	first := s.dial(t)
	first.send("GET / HTTP/1.1\r\nHost: h\r\n\r\n")
	receive(t, entered)
	idle := s.dial(t)
	within(t, "two are open", func() bool { return s.conns.count() == 2 })
	second := s.dial(t)
	second.send("GET / HTTP/1.1\r\nHost: h\r\n\r\n")
	receive(t, entered)
	if answer, err := idle.rest(); answer != "" || err != nil {
		t.Errorf("the idle one got %q, %v", answer, err)
	}
	third := s.dial(t) // waits
	third.send("GET / HTTP/1.1\r\nHost: h\r\n\r\n")
	time.Sleep(short)
	if n := s.crowd.Open(); n != 2 || len(entered) > 0 {
		t.Errorf("%d are open, %d more are served", n, len(entered))
	}
	close(leave)
	for _, c := range []*client{first, second, third} {
		c.answer()
	}
}

func TestShutdownClosesIdleConnections(t *testing.T) {
	calm.Try(t, func(t testing.TB, _ time.Duration) {
		s := serve(t, ok)
		fresh, used := s.dial(t), s.dial(t)
		used.send("GET / HTTP/1.1\r\nHost: h\r\n\r\n")
		used.answer()
		within(t, "both are open", func() bool { return s.conns.count() == 2 })
		begun := time.Now()
		if err := s.Shutdown(context.Background()); err != nil {
			t.Error(err)
		}
		if d := time.Since(begun); d > time.Second {
			t.Errorf("it took %v", d)
		}
		for _, c := range []*client{fresh, used} {
			if answer, err := c.rest(); answer != "" || err != nil {
				t.Errorf("got %q, %v", answer, err)
			}
		}
		listener, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		if err := s.Serve(listener); err != nil {
			t.Errorf("Serve after Shutdown: %v", err)
		}
		if listener.Close() == nil {
			t.Error("a listener that came too late stayed open")
		}
	})
}

func TestShutdownTellsPipelinersToCloseAndLosesNoAnswer(t *testing.T) {
	entered, leave := make(chan struct{}, 9), make(chan struct{})
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
	c.send(strings.Repeat("GET /more HTTP/1.1\r\nHost: h\r\n\r\n", 100)) // unread when the connection ends
	close(leave)
	head, _ := c.answer()
	contains(t, head, "Connection: close\r\n")
	if rest, err := c.rest(); rest != "" || err != nil {
		t.Errorf("then %q, %v", rest, err)
	}
	c.Conn.Close()
	if err := receive(t, down); err != nil {
		t.Error(err)
	}
}

// Handshakes are computed in turns. Those that wait for their client, or for a
// certificate, take none.
func TestHandshakesTakeTurns(t *testing.T) {
	for _, desks := range []int{2, 4} {
		done := make(chan struct{})
		key := &slowKey{Signer: certificate().PrivateKey.(crypto.Signer), expected: int32(desks)}
		s := start(t, Config{Handler: ok, Crowd: NewCrowd(CrowdLimits{Handshakes: desks}), TLS: tlsConfig(func(hello *tls.ClientHelloInfo) (*tls.Certificate, error) {
			if hello.ServerName == "wait.example" {
				<-done
			}
			return &tls.Certificate{Certificate: certificate().Certificate, PrivateKey: key}, nil
		})})
		for range 2 * desks { // these keep nobody
			s.dial(t).send("\x16\x03\x01\x02")
		}
		for range desks {
			c := s.dial(t)
			go tls.Client(c.Conn, &tls.Config{ServerName: "wait.example", InsecureSkipVerify: true}).Handshake()
		}
		begun := time.Now()
		var clients sync.WaitGroup
		for range 12 {
			clients.Go(func() {
				conn, err := tls.Dial("tcp", s.addr, &tls.Config{InsecureSkipVerify: true})
				if err != nil {
					t.Error(err)
					return
				}
				conn.Close()
			})
		}
		clients.Wait()
		if most := int(key.most.Load()); most != desks {
			t.Errorf("%d at once, want %d", most, desks)
		}
		if d := time.Since(begun); d > patience/2 {
			t.Errorf("they took %v", d)
		}
		close(done)
	}
}

// slowKey tells how many sign at once. The first wait for those expected to, and
// each takes some time, in which one more could come.
type slowKey struct {
	crypto.Signer
	expected  int32
	now, most atomic.Int32
}

func (k *slowKey) Sign(rand io.Reader, digest []byte, opts crypto.SignerOpts) ([]byte, error) {
	now := k.now.Add(1)
	defer k.now.Add(-1)
	for most := k.most.Load(); now > most && !k.most.CompareAndSwap(most, now); most = k.most.Load() {
	}
	for end := time.Now().Add(patience / 4); k.most.Load() < k.expected && time.Now().Before(end); {
		time.Sleep(time.Millisecond)
	}
	time.Sleep(short)
	return k.Signer.Sign(rand, digest, opts)
}
