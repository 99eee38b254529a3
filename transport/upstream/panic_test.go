package upstream_test

import (
	"context"
	"errors"
	"io"
	"strings"
	"sync/atomic"
	"testing"

	"kamal-proxy/transport/crash"
	"kamal-proxy/transport/exchange"
	"kamal-proxy/transport/upstream"
)

// A panic of the caller's leaves no connection behind.
func TestPanicOfTheCaller(t *testing.T) {
	var gone atomic.Int64
	address := listen(t, func(_ int, c *peer) {
		c.head()
		c.say("HTTP/1.1 103 Early Hints\r\n\r\n")
		io.Copy(io.Discard, c)
		gone.Add(1)
	})
	u := target(t, upstream.Options{Address: address})
	func() {
		defer func() {
			if recover() != "odd" {
				t.Error("the panic is swallowed")
			}
		}()
		u.Send(context.Background(), get("/"), func(int, exchange.Header) error { panic("odd") })
	}()
	eventually(t, "the end of the connection", func() bool { return gone.Load() == 1 })
}

type oddBody struct {
	io.Reader
}

func (b oddBody) Read(p []byte) (int, error) {
	n, err := b.Reader.Read(p)
	if err == io.EOF {
		panic("odd body")
	}
	return n, err
}

// A body is read on another goroutine; its panic is the request's error.
func TestPanicOfTheBody(t *testing.T) {
	address := listen(t, func(_ int, c *peer) {
		c.head()
		io.Copy(io.Discard, c)
	})
	u := target(t, upstream.Options{Address: address})
	before := crash.Total()
	r := chunkedPost(oddBody{strings.NewReader(strings.Repeat("x", 1<<20))})
	_, err := u.Send(context.Background(), r, nil)
	if !errors.Is(err, crash.ErrPanicked) || !strings.Contains(err.Error(), "odd body") {
		t.Errorf("the error is %v", err)
	}
	if n := crash.Total() - before; n != 1 {
		t.Errorf("%d panics were counted", n)
	}
}
