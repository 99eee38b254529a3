package upstream_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"math/rand"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"kamal-proxy/transport/calm"
	"kamal-proxy/transport/exchange"
	"kamal-proxy/transport/upstream"
)

// slowBody is a client's body: its bytes come when the test says so.
type slowBody struct {
	parts  chan string
	closed chan struct{}
	once   sync.Once
	rest   string
}

func newSlowBody() *slowBody {
	return &slowBody{parts: make(chan string, 8), closed: make(chan struct{})}
}

var errBodyClosed = errors.New("the body was closed")

func (b *slowBody) Read(p []byte) (int, error) {
	if b.rest == "" {
		select {
		case part, ok := <-b.parts:
			if !ok {
				return 0, io.EOF
			}
			b.rest = part
		case <-b.closed:
			return 0, errBodyClosed
		}
	}
	n := copy(p, b.rest)
	b.rest = b.rest[n:]
	return n, nil
}

func (b *slowBody) Close() error {
	b.once.Do(func() { close(b.closed) })
	return nil
}

func TestBodiesOfAllSizesAreEchoed(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		http.NewResponseController(w).EnableFullDuplex()
		io.Copy(w, r.Body) // answers while it reads
	}))
	defer server.Close()
	u := target(t, upstream.Options{Address: server.Listener.Addr().String(), ResponseTimeout: patience})
	random := make([]byte, 8<<20)
	rand.New(rand.NewSource(1)).Read(random)
	for _, size := range []int{1, 1000, 4096, 64<<10 - 1, 64 << 10, 64<<10 + 1, 200_000, 8 << 20} {
		for _, length := range []int64{int64(size), -1} {
			r := chunkedPost(bytes.NewReader(random[:size]))
			r.ContentLength = length
			if _, got := send(t, u, r); got != string(random[:size]) {
				t.Fatalf("%d bytes (length %d) came back as %d", size, length, len(got))
			}
		}
	}
}

// The target writes more than all socket buffers hold before it reads a byte
// of the body, and the body is larger than they are, too.
func TestNeitherSideBlocksTheOther(t *testing.T) {
	const size = 32 << 20
	address := listen(t, func(_ int, p *peer) {
		p.head()
		p.say("HTTP/1.1 200 OK\r\nContent-Length: 33554432\r\n\r\n")
		p.say(strings.Repeat("x", size))
		p.body(size)
		p.head()
	})
	u := target(t, upstream.Options{Address: address})
	status, body := send(t, u, post(strings.Repeat("y", size)))
	if status != 200 || len(body) != size {
		t.Errorf("got %d with %d bytes", status, len(body))
	}
}

func TestEarlyAnswerDoesNotWaitForTheBody(t *testing.T) {
	address := listen(t, func(_ int, p *peer) {
		p.head()
		p.say("HTTP/1.1 413 Content Too Large\r\nContent-Length: 2\r\n\r\nno")
		p.head()
	})
	body := newSlowBody()
	body.parts <- "first"
	if status, text := send(t, target(t, upstream.Options{Address: address}), chunkedPost(body)); status != 413 || text != "no" {
		t.Errorf("got %d %q", status, text)
	}
	select {
	case <-body.closed:
	default:
		t.Error("the rest of the body is still read")
	}
}

// The time limit is the target's: it does not run while the client is slow.
func TestSlowClientIsNotASlowTarget(t *testing.T) {
	calm.Try(t, func(t testing.TB, unit time.Duration) {
		address := listen(t, func(_ int, p *peer) {
			p.head()
			p.body(len("3\r\nabc\r\n3\r\ndef\r\n0\r\n\r\n"))
			p.say(okay)
		})
		u := target(t, upstream.Options{Address: address, ResponseTimeout: 2 * unit})
		body := newSlowBody()
		body.parts <- "abc"
		time.AfterFunc(6*unit, func() { body.parts <- "def"; close(body.parts) })
		if status, _ := send(t, u, chunkedPost(body)); status != 200 {
			t.Errorf("got %d", status)
		}
	})
}

func TestTargetThatStopsReadingTimesOut(t *testing.T) {
	release := make(chan bool)
	defer close(release)
	address := listen(t, func(_ int, p *peer) { <-release })
	u := target(t, upstream.Options{Address: address, ResponseTimeout: 100 * time.Millisecond})
	fails(t, u, post(strings.Repeat("x", 32<<20)), upstream.ErrTimeout)
}

func TestBodyThatCannotBeRead(t *testing.T) {
	address := listen(t, func(_ int, p *peer) {
		p.head()
		p.in.ReadString(0)
	})
	u := target(t, upstream.Options{Address: address})
	bad := errors.New("bad chunk")
	for name, body := range map[string]io.Reader{
		"at once": io.MultiReader(failing{bad}),
		"later":   io.MultiReader(strings.NewReader(strings.Repeat("x", 100_000)), failing{bad}),
	} {
		t.Run(name, func(t *testing.T) {
			_, err := u.Send(context.Background(), chunkedPost(body), nil)
			var broken *upstream.BodyError
			if !errors.As(err, &broken) || !errors.Is(err, bad) {
				t.Errorf("got %v", err)
			}
		})
	}
	r := post("abc")
	r.ContentLength = 9
	fails(t, u, r, io.ErrUnexpectedEOF)
}

type failing struct{ err error }

func (f failing) Read([]byte) (int, error) { return 0, f.err }

func TestExpectContinue(t *testing.T) {
	for _, c := range []struct {
		name   string
		target func(p *peer) (body string)
		status int
		body   string
		slow   bool
	}{
		{"100", func(p *peer) string {
			p.say("HTTP/1.1 100 Continue\r\n\r\n")
			return p.body(3)
		}, 200, "abc", false},
		{"103, then 100", func(p *peer) string {
			p.say("HTTP/1.1 103 Early Hints\r\n\r\nHTTP/1.1 100 Continue\r\n\r\n")
			return p.body(3)
		}, 200, "abc", false},
		{"no word", func(p *peer) string { return p.body(3) }, 200, "abc", true},
		{"refused", func(p *peer) string {
			p.say("HTTP/1.1 417 Expectation Failed\r\nContent-Length: 0\r\n\r\n")
			return p.body(1)
		}, 417, "error: EOF", false},
	} {
		t.Run(c.name, func(t *testing.T) {
			calm.Try(t, func(t testing.TB, _ time.Duration) {
				got := make(chan string, 1)
				address := listen(t, func(_ int, p *peer) {
					p.head()
					got <- c.target(p)
					p.say(okay)
				})
				r := post("abc")
				r.Header.Add("Expect", "100-continue")
				started := time.Now()
				status, _ := send(t, target(t, upstream.Options{Address: address, ResponseTimeout: patience}), r)
				if body := <-got; status != c.status || body != c.body {
					t.Errorf("got %d, the target read %q", status, body)
				}
				if slow := time.Since(started) > 900*time.Millisecond; slow != c.slow {
					t.Errorf("it took %v", time.Since(started))
				}
			})
		})
	}
}

func TestEndOfTheContextEndsTheRequest(t *testing.T) {
	release := make(chan bool)
	defer close(release)
	address := listen(t, func(_ int, p *peer) {
		if head := p.head(); strings.HasPrefix(head, "GET /body") {
			p.say("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nab")
		}
		<-release
	})
	gone := errors.New("gone")
	uncut := func() (ctx context.Context, cut func()) {
		ctx, cancel := context.WithCancelCause(context.Background())
		return ctx, func() { time.AfterFunc(50*time.Millisecond, func() { cancel(gone) }) }
	}
	cut := func() context.Context {
		ctx, soon := uncut()
		soon()
		return ctx
	}
	u := target(t, upstream.Options{Address: address, ResponseTimeout: time.Minute})
	small, unread := newSlowBody(), newSlowBody()
	unread.parts <- "x"
	for name, r := range map[string]*exchange.Request{
		"waiting for the head":  get("/"),
		"writing the body":      post(strings.Repeat("x", 32<<20)),
		"reading the body":      chunkedPost(small),
		"reading more of it":    chunkedPost(unread),
		"waiting for 100":       {Method: "POST", Target: "/", Body: newSlowBody(), ContentLength: 3, Header: exchange.Header{{Name: "Expect", Value: "100-continue"}}},
		"before it has started": get("/never"),
	} {
		t.Run(name, func(t *testing.T) {
			ctx := cut()
			if r.Target == "/never" {
				<-ctx.Done()
			}
			if _, err := u.Send(ctx, r, nil); !errors.Is(err, gone) {
				t.Errorf("got %v", err)
			}
		})
	}
	t.Run("reading the response", func(t *testing.T) {
		ctx, cut := uncut()
		res, err := u.Send(ctx, get("/body"), nil)
		if err != nil {
			t.Fatal(err)
		}
		defer res.Close()
		cut()
		if b, err := io.ReadAll(res.Body); string(b) != "ab" || !errors.Is(err, gone) {
			t.Errorf("got %q, %v", b, err)
		}
		if _, err := res.Body.Read(make([]byte, 1)); !errors.Is(err, gone) {
			t.Errorf("then got %v", err)
		}
	})
	t.Run("connecting", func(t *testing.T) {
		u := target(t, upstream.Options{DialContext: waitForEnd})
		if _, err := u.Send(cut(), get("/"), nil); !errors.Is(err, gone) {
			t.Errorf("got %v", err)
		}
	})
}

// A context that ends just as its response does must not harm the next
// request on the connection.
func TestLateEndOfTheContextHarmsNobody(t *testing.T) {
	address := listen(t, func(_ int, p *peer) {
		for p.head() != "" {
			p.say(okay)
		}
	})
	u := target(t, upstream.Options{Address: address, ResponseTimeout: time.Minute})
	for range 2000 {
		ctx, cancel := context.WithCancel(context.Background())
		res, err := u.Send(ctx, get("/"), nil)
		if err != nil {
			t.Fatal(err)
		}
		go cancel()
		io.Copy(io.Discard, res.Body)
		res.Close()
		send(t, u, get("/"))
	}
}
