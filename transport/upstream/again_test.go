package upstream_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"net/http/httputil"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/iotest"
	"time"

	"kamal-proxy/transport/exchange"
	"kamal-proxy/transport/upstream"
)

// kept is a body that can be read again.
type kept struct {
	*bytes.Reader
	rewound atomic.Int64
}

func (k *kept) Rewind() {
	k.rewound.Add(1)
	k.Seek(0, io.SeekStart)
}

// ordered returns n bytes whose order matters.
func ordered(n int) []byte {
	p := make([]byte, n)
	for i := range p {
		p[i] = byte(i ^ i>>8 ^ i>>16)
	}
	return p
}

func keptRequest(method string, content []byte) (*exchange.Request, *kept) {
	body := &kept{Reader: bytes.NewReader(content)}
	r := get("/")
	r.Method, r.Body, r.ContentLength = method, body, int64(len(content))
	return r, body
}

// A kept connection ends after it has taken a part of a body that is at hand in
// full: the request is sent again from its start, if that does no harm.
func TestKeptBodiesAreSentAgain(t *testing.T) {
	content := ordered(3 << 20)
	for _, c := range []struct {
		name   string
		method string
		length int64 // as told
		read   int   // bytes, before the target closes the connection
		again  bool
	}{
		{"PUT, nothing read", "PUT", int64(len(content)), 0, true},
		{"PUT, a part read", "PUT", int64(len(content)), 1 << 20, true},
		{"chunked PUT, a part read", "PUT", -1, 1 << 20, true},
		{"POST, a part read", "POST", int64(len(content)), 1 << 20, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			var connections atomic.Int64
			arrived := make(chan []byte, 1)
			address := listen(t, func(n int, p *peer) {
				connections.Store(int64(n))
				if n == 1 {
					p.head()
					p.say(okay)
					p.head()
					p.body(c.read)
					return
				}
				head := p.head()
				body := io.Reader(p.in)
				if strings.Contains(head, "chunked") {
					body = httputil.NewChunkedReader(p.in)
				}
				all := make([]byte, len(content))
				io.ReadFull(body, all)
				arrived <- all
				p.say(okClose)
			})
			u := target(t, upstream.Options{Address: address})
			send(t, u, get("/"))
			r, body := keptRequest(c.method, content)
			r.ContentLength = c.length
			if !c.again {
				fails(t, u, r, upstream.ErrBroken)
				if connections.Load() != 1 {
					t.Error("it was sent again")
				}
				return
			}
			send(t, u, r)
			if !bytes.Equal(<-arrived, content) {
				t.Error("another body arrived")
			}
			if connections.Load() != 2 {
				t.Errorf("it took %d connections", connections.Load())
			}
			if c.read > 0 && body.rewound.Load() != 1 {
				t.Errorf("the body was rewound %d times", body.rewound.Load())
			}
		})
	}
}

// A large POST goes out again as well where the target cannot have read it.
func TestKeptPostIsRepeatedIfTheTargetCannotHaveReadIt(t *testing.T) {
	content := ordered(3 << 20)
	arrived := make(chan bool, 1)
	closeNow, closed := make(chan bool), make(chan bool)
	address := listen(t, func(n int, p *peer) {
		p.head()
		if n > 1 {
			arrived <- p.body(len(content)) == string(content)
		}
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
	r, _ := keptRequest("POST", content)
	send(t, u, r)
	if !<-arrived {
		t.Error("another body arrived")
	}
}

// A part of the answer has come: nothing is sent again.
func TestKeptBodyIsNotSentAgainAfterAnAnswer(t *testing.T) {
	var connections atomic.Int64
	address := listen(t, func(n int, p *peer) {
		connections.Store(int64(n))
		p.head()
		p.say(okay)
		p.head()
		p.body(1 << 20)
		p.say("HTTP/1.1 2")
	})
	u := target(t, upstream.Options{Address: address})
	send(t, u, get("/"))
	r, _ := keptRequest("PUT", ordered(3<<20))
	fails(t, u, r, upstream.ErrBroken)
	if connections.Load() != 1 {
		t.Errorf("it took %d connections", connections.Load())
	}
}

func TestBodySaysWhetherItIsReady(t *testing.T) {
	more := make(chan bool)
	address := listen(t, func(_ int, p *peer) {
		p.head()
		p.say("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n")
		<-more
		p.say("0\r\n\r\n")
	})
	u := target(t, upstream.Options{Address: address})
	res, err := u.Send(context.Background(), get("/"), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Close()
	body := res.Body.(interface{ Ready() bool })
	if !body.Ready() {
		t.Error("the first part has come, but is not ready")
	}
	if n, err := res.Body.Read(make([]byte, 9)); n != 3 || err != nil {
		t.Fatalf("read %d bytes, %v", n, err)
	}
	if body.Ready() {
		t.Error("nothing has come, but is ready")
	}
	close(more)
	if n, err := res.Body.Read(make([]byte, 9)); n != 0 || err != io.EOF {
		t.Fatalf("read %d bytes, %v", n, err)
	}
	if !body.Ready() {
		t.Error("the end has come, but is not ready")
	}
}

// unansweredBy sends r, which must fail in a way that lets it be sent again.
func unansweredBy(t *testing.T, u *upstream.Target, r *exchange.Request, unsent bool) *upstream.UnansweredError {
	t.Helper()
	res, err := u.Send(context.Background(), r, nil)
	var unanswered *upstream.UnansweredError
	if !errors.As(err, &unanswered) {
		if res != nil {
			res.Close()
		}
		t.Fatalf("it ended with %v, which is not to be sent again", err)
	}
	if unanswered.Unsent != unsent {
		t.Errorf("that it was never sent is %t", unanswered.Unsent)
	}
	return unanswered
}

// The body of a request that could not be sent begins anew, whether it is kept
// or comes from a client; and so again.
func TestRequestThatWasNeverSentIsWhole(t *testing.T) {
	u := target(t, upstream.Options{Address: "127.0.0.1:1", ResponseTimeout: time.Minute})
	for _, size := range []int{0, 1, 1000, 64 << 10, 64<<10 + 1, 1 << 20} {
		content := ordered(size)
		for kind, body := range map[string]io.Reader{
			"kept":      &kept{Reader: bytes.NewReader(content)},
			"at once":   struct{ io.Reader }{bytes.NewReader(content)},
			"in pieces": iotest.OneByteReader(bytes.NewReader(content)),
		} {
			for _, length := range []int64{int64(size), -1} {
				r := get("/")
				r.Method, r.Body, r.ContentLength = "POST", body, length
				for range 3 {
					e := unansweredBy(t, u, r, true)
					if left := time.Until(e.Deadline); left <= 0 || left > time.Minute || !errors.Is(e, upstream.ErrUnreachable) {
						t.Fatalf("%v, with %v left", e, left)
					}
				}
				if got, err := io.ReadAll(r.Body); err != nil || !bytes.Equal(got, content) {
					t.Errorf("of %d bytes %s, %d announced, %d are left, %v", size, kind, length, len(got), err)
				}
				if k, ok := body.(*kept); ok {
					k.Rewind()
				} else if kind == "at once" {
					body = struct{ io.Reader }{bytes.NewReader(content)}
				} else {
					body = iotest.OneByteReader(bytes.NewReader(content))
				}
			}
		}
	}
}

func TestWhatMayBeSentToAnotherTarget(t *testing.T) {
	for _, c := range []struct {
		what   string
		method string
		answer func(p *peer)
		want   bool
	}{
		{"no answer", "GET", func(p *peer) {}, true},
		{"no answer to a PUT", "PUT", func(p *peer) {}, true},
		{"no answer to a POST", "POST", func(p *peer) {}, false},
		{"no answer to a PATCH", "PATCH", func(p *peer) {}, false},
		{"half a line", "GET", func(p *peer) { p.say("HTT") }, false},
		{"an interim answer", "GET", func(p *peer) { p.say("HTTP/1.1 103 Early Hints\r\n\r\n") }, false},
		{"half a head", "GET", func(p *peer) { p.say("HTTP/1.1 200 OK\r\nA: b\r\n") }, false},
		{"what is not HTTP", "GET", func(p *peer) { p.say("SSH-2.0-x\r\n\r\n") }, false},
	} {
		address := listen(t, func(_ int, p *peer) {
			p.head()
			if c.method != "GET" {
				p.body(4)
			}
			c.answer(p)
		})
		u := target(t, upstream.Options{Address: address})
		r := get("/")
		if c.method != "GET" {
			r = post("body")
			r.Method = c.method
		}
		res, err := u.Send(context.Background(), r, nil)
		if err == nil {
			res.Close()
			t.Fatalf("%s: there is an answer", c.what)
		}
		var unanswered *upstream.UnansweredError
		if got := errors.As(err, &unanswered); got != c.want {
			t.Errorf("%s (%v): to be sent again: %t, want %t", c.what, err, got, c.want)
		}
	}
}

// hurried is a context of a request that can go elsewhere.
type hurried struct {
	context.Context
	connect time.Duration
}

func (h hurried) ConnectWithin() time.Duration { return h.connect }

func TestAConnectionMayTakeLessTimeWhereThereIsAnotherTarget(t *testing.T) {
	u := target(t, upstream.Options{Address: "x", ResponseTimeout: time.Minute, DialContext: waitForEnd})
	_, err := u.Send(hurried{context.Background(), 20 * time.Millisecond}, get("/"), nil)
	var unanswered *upstream.UnansweredError
	if !errors.As(err, &unanswered) || !unanswered.Unsent || !errors.Is(err, upstream.ErrUnreachable) {
		t.Errorf("it ended with %v", err)
	}
}

// The time that one target has used is not given to the next one, too.
func TestADeadlineCountsAsTheResponseTimeout(t *testing.T) {
	address := listen(t, func(_ int, p *peer) {
		p.head()
		io.ReadAll(p.in)
	})
	u := target(t, upstream.Options{Address: address, ResponseTimeout: time.Minute})
	ctx := until{hurried{context.Background(), patience}, time.Now().Add(50 * time.Millisecond)}
	_, err := u.Send(ctx, get("/"), nil)
	if !errors.Is(err, upstream.ErrTimeout) {
		t.Errorf("it ended with %v", err)
	}
}

type until struct {
	hurried
	deadline time.Time
}

func (u until) Deadline() (time.Time, bool) { return u.deadline, true }
