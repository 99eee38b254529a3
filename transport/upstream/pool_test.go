package upstream_test

import (
	"context"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"kamal-proxy/transport/exchange"
	"kamal-proxy/transport/upstream"
)

const (
	okay    = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
	okClose = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok"
)

// patience is how long a test waits for what must happen.
const patience = 30 * time.Second

// eventually polls until done, and fails the test if that takes too long.
func eventually(t testing.TB, what string, done func() bool) {
	t.Helper()
	for deadline := time.Now().Add(patience); !done(); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("%s: not within %v", what, patience)
		}
	}
}

func TestWhichConnectionsAreUsedAgain(t *testing.T) {
	for _, c := range []struct {
		name, response string
		read           bool // the body to its end
		again          bool
	}{
		{"body read", okay, true, true},
		{"body not read", okay, false, false},
		{"chunked", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n", true, true},
		{"no body", "HTTP/1.1 204 No Content\r\n\r\n", false, true},
		{"Connection: close", okClose, true, false},
		{"HTTP/1.0", "HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok", true, false},
		{"HTTP/1.0 kept alive", "HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 2\r\n\r\nok", true, true},
		{"more than announced", okay + "HTTP/1.1 200 OK\r\n", true, false},
		{"204 with a body", "HTTP/1.1 204 No Content\r\nTransfer-Encoding: chunked\r\n\r\n", false, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			var connections atomic.Int64
			address := listen(t, func(n int, p *peer) {
				connections.Store(int64(n))
				for p.head() != "" {
					p.say(c.response)
				}
			})
			u := target(t, upstream.Options{Address: address})
			for range 3 {
				res, err := u.Send(context.Background(), get("/"), nil)
				if err != nil {
					t.Fatal(err)
				}
				if c.read {
					io.Copy(io.Discard, res.Body)
				}
				res.Close()
			}
			if got := connections.Load(); (got == 1) != c.again {
				t.Errorf("3 requests took %d connections", got)
			}
		})
	}
}

func TestResponseIsOverAfterClose(t *testing.T) {
	address := listen(t, func(_ int, p *peer) {
		for p.head() != "" {
			p.say(okay)
		}
	})
	u := target(t, upstream.Options{Address: address})
	first, err := u.Send(context.Background(), get("/"), nil)
	if err != nil {
		t.Fatal(err)
	}
	io.Copy(io.Discard, first.Body)
	first.Close()
	second, err := u.Send(context.Background(), get("/"), nil)
	if err != nil {
		t.Fatal(err)
	}
	first.Close()
	if n, err := first.Body.Read(make([]byte, 9)); n != 0 || err != upstream.ErrClosed {
		t.Errorf("a closed response still reads: %d, %v", n, err)
	}
	if b, err := io.ReadAll(second.Body); string(b) != "ok" || err != nil {
		t.Errorf("the other response was disturbed: %q, %v", b, err)
	}
	second.Close()
}

// dropping serves one request a connection, says that it keeps it, and closes.
func dropping(t testing.TB, served *atomic.Int64) string {
	return listen(t, func(n int, p *peer) {
		if p.head() != "" {
			served.Add(1)
			p.say(okay)
		}
	})
}

func TestConnectionThatEndedIsNotUsed(t *testing.T) {
	var served atomic.Int64
	u := target(t, upstream.Options{Address: dropping(t, &served)})
	for range 200 {
		send(t, u, get("/"))
	}
	if served.Load() != 200 {
		t.Errorf("%d requests were served", served.Load())
	}
}

func TestRequestThatMetADeadConnection(t *testing.T) {
	put := func(size int) *exchange.Request {
		r := post(strings.Repeat("x", size))
		r.Method = "PUT"
		return r
	}
	for _, c := range []struct {
		name    string
		request *exchange.Request
		read    int // bytes of the body, before the target closes the connection
		again   bool
	}{
		{"GET", get("/"), 0, true},
		{"POST", post("abc"), 0, false},
		{"PUT", put(3), 0, true},
		{"PUT of which the first part is gone", put(200_000), 150_000, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			var connections atomic.Int64
			address := listen(t, func(n int, p *peer) {
				connections.Store(int64(n))
				p.head()
				p.say(okay)
				p.head()
				p.body(c.read)
			})
			u := target(t, upstream.Options{Address: address})
			send(t, u, get("/"))
			if !c.again {
				fails(t, u, c.request, upstream.ErrBroken)
				return
			}
			send(t, u, c.request)
			if connections.Load() != 2 {
				t.Errorf("it took %d connections", connections.Load())
			}
		})
	}
}

// What comes on an idle connection answers no request.
func TestUnaskedBytesAnswerNobody(t *testing.T) {
	say, said := make(chan bool), make(chan bool)
	address := listen(t, func(n int, p *peer) {
		p.head()
		p.say(okay)
		if n == 1 {
			<-say
			p.say("HTTP/1.1 408 Request Timeout\r\nContent-Length: 0\r\n\r\n")
			said <- true
			p.head()
		}
	})
	u := target(t, upstream.Options{Address: address})
	send(t, u, get("/"))
	say <- true
	<-said
	if status, _ := send(t, u, get("/")); status != 200 {
		t.Errorf("got %d", status)
	}
}

// looked is a connection that runs then once, after the pool has looked at it.
type looked struct {
	*net.TCPConn
	then func()
}

type lookedRaw struct {
	syscall.RawConn
	then func()
}

func (l looked) SyscallConn() (syscall.RawConn, error) {
	raw, err := l.TCPConn.SyscallConn()
	return lookedRaw{raw, l.then}, err
}

func (l lookedRaw) Control(f func(fd uintptr)) error {
	defer l.then()
	return l.RawConn.Control(f)
}

// A target that closes a kept connection while a POST is on its way to it
// cannot have read it.
func TestPostIsRepeatedIfTheTargetCannotHaveReadIt(t *testing.T) {
	for name, size := range map[string]int{"small": 3, "64 KiB": 64 << 10} {
		t.Run(name, func(t *testing.T) {
			var served atomic.Int64
			closeNow, closed := make(chan bool), make(chan bool)
			address := listen(t, func(n int, p *peer) {
				p.head()
				if n > 1 {
					p.body(size)
				}
				served.Add(1)
				p.say(okay)
				if n == 1 {
					<-closeNow
					p.Close()
					closed <- true
				}
			})
			closing := sync.OnceFunc(func() { closeNow <- true; <-closed })
			u := target(t, upstream.Options{Address: address, DialContext: func(ctx context.Context, network, address string) (net.Conn, error) {
				c, err := new(net.Dialer).DialContext(ctx, network, address)
				return looked{c.(*net.TCPConn), closing}, err
			}})
			send(t, u, get("/"))
			send(t, u, post(strings.Repeat("x", size)))
			if served.Load() != 2 {
				t.Errorf("%d requests were served", served.Load())
			}
		})
	}
}

func TestIdleConnectionsAreClosed(t *testing.T) {
	ended := make(chan int, 8)
	address := listen(t, func(n int, p *peer) {
		for p.head() != "" {
			p.say(okay)
		}
		ended <- n
	})
	await := func(what string) {
		t.Helper()
		select {
		case <-ended:
		case <-time.After(patience):
			t.Fatalf("%s: the connection is still open", what)
		}
	}
	u := target(t, upstream.Options{Address: address, IdleTimeout: 30 * time.Millisecond})
	for range 2 {
		send(t, u, get("/"))
		await("after the idle time-out")
	}

	u = target(t, upstream.Options{Address: address, MaxIdle: 1})
	a, _ := u.Send(context.Background(), get("/"), nil)
	b, _ := u.Send(context.Background(), get("/"), nil)
	for _, res := range []*exchange.Response{a, b} {
		io.Copy(io.Discard, res.Body)
		res.Close()
	}
	await("beyond MaxIdle")

	c, err := u.Send(context.Background(), get("/"), nil)
	if err != nil {
		t.Fatal(err)
	}
	u.Close()
	if body, err := io.ReadAll(c.Body); string(body) != "ok" || err != nil {
		t.Errorf("Close disturbs a busy connection: %q, %v", body, err)
	}
	select {
	case <-ended:
		t.Fatal("Close ended a busy connection")
	default:
	}
	c.Close()
	await("a busy one after Close")
}

func TestNamesAreResolvedForEachConnection(t *testing.T) {
	var served atomic.Int64
	address := dropping(t, &served)
	var dialled []string
	u := target(t, upstream.Options{Address: "app:3000", DialContext: func(ctx context.Context, network, name string) (net.Conn, error) {
		dialled = append(dialled, name)
		return new(net.Dialer).DialContext(ctx, network, address)
	}})
	send(t, u, get("/"))
	res, _ := u.Send(context.Background(), get("/"), nil)
	res.Close()
	if got := strings.Join(dialled, " "); got != "app:3000 app:3000" {
		t.Errorf("dialled %q", got)
	}
}

func TestPostsAnsweredWithoutBeingRead(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Write([]byte("ok"))
	}))
	defer server.Close()
	u := target(t, upstream.Options{Address: server.Listener.Addr().String()})
	body := strings.Repeat("x", 64<<10)
	hammer(t, 15_000, func() error {
		res, err := u.Send(context.Background(), post(body), nil)
		if err != nil {
			return err
		}
		defer res.Close()
		_, err = io.Copy(io.Discard, res.Body)
		return err
	})
}

func TestPostsAnsweredAndClosedWithoutBeingRead(t *testing.T) {
	address := listen(t, func(_ int, p *peer) {
		p.head()
		p.say(okClose)
	})
	u := target(t, upstream.Options{Address: address})
	for name, size := range map[string]int{"64 KiB": 64 << 10, "4 MiB": 4 << 20} {
		t.Run(name, func(t *testing.T) {
			body := strings.Repeat("x", size)
			hammer(t, 30_000_000/size, func() error {
				res, err := u.Send(context.Background(), post(body), nil)
				if err != nil {
					return err
				}
				defer res.Close()
				_, err = io.Copy(io.Discard, res.Body)
				return err
			})
		})
	}
}

// hammer calls f n times from 8 goroutines and reports what fails.
func hammer(t *testing.T, n int, f func() error) {
	t.Helper()
	var left, failed atomic.Int64
	left.Store(int64(n))
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			for left.Add(-1) >= 0 {
				if err := f(); err != nil && failed.Add(1) == 1 {
					t.Errorf("the first error: %v", err)
				}
			}
		})
	}
	all.Wait()
	if failed.Load() > 0 {
		t.Errorf("%d of %d failed", failed.Load(), n)
	}
}
