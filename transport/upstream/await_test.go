package upstream_test

import (
	"context"
	"errors"
	"io"
	"testing"
	"time"

	"kamal-proxy/transport/upstream"
)

// Waiting for more of a body takes nothing of it, and leaves no time limit
// behind; the end of the request's context ends it.
func TestAwaitingMoreOfABody(t *testing.T) {
	more := make(chan bool)
	address := listen(t, func(_ int, p *peer) {
		p.head()
		p.say("HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\na")
		for range more {
			p.say("b")
		}
	})
	defer close(more)
	ctx, cut := context.WithCancelCause(context.Background())
	gone := errors.New("gone")
	res, err := target(t, upstream.Options{Address: address, ResponseTimeout: time.Minute}).Send(ctx, get("/"), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Close()
	body := res.Body.(interface {
		io.Reader
		Await(time.Duration) bool
	})
	take := func(want string) {
		t.Helper()
		p := make([]byte, 4)
		if n, err := body.Read(p); err != nil || string(p[:n]) != want {
			t.Fatalf("read %q, %v", p[:n], err)
		}
	}
	if !body.Await(0) {
		t.Error("what came with the head is waited for")
	}
	take("a")
	if body.Await(10 * time.Millisecond) {
		t.Error("nothing has come, and it says that something has")
	}
	time.AfterFunc(20*time.Millisecond, func() { more <- true })
	take("b") // no limit is left of the wait before
	more <- true
	if !body.Await(patience) {
		t.Error("what has come is not seen")
	}
	take("b")
	time.AfterFunc(20*time.Millisecond, func() { cut(gone) })
	if !body.Await(patience) {
		t.Error("the end of the context is not seen")
	}
	if _, err := body.Read(make([]byte, 1)); !errors.Is(err, gone) {
		t.Errorf("after the cut: %v", err)
	}
}
