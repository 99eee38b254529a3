package proxy

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net/http"
	"sync/atomic"
	"testing"
	"time"

	"kamal-proxy/actors/service"
	"kamal-proxy/transport/exchange"
	"kamal-proxy/transport/upstream"
)

// Long bodies of a known length go from connection to connection within the
// kernel, and what these promise holds for them as for others.

func TestWireLongBodiesAreWholeAndLeaveTheConnectionsUsable(t *testing.T) {
	for name, makeWire := range map[string]func(testing.TB, http.HandlerFunc, upstream.Options) *wire{
		"direct": newWire, "buffered": newBufferingWire,
	} {
		t.Run(name, func(t *testing.T) { testWireLongBodies(t, makeWire) })
	}
}

func testWireLongBodies(t *testing.T, makeWire func(testing.TB, http.HandlerFunc, upstream.Options) *wire) {
	var remotes atomic.Pointer[string]
	w := makeWire(t, func(rw http.ResponseWriter, r *http.Request) {
		remotes.Store(&r.RemoteAddr)
		var size int
		fmt.Sscan(r.URL.Query().Get("size"), &size)
		rw.Header().Set("Content-Length", fmt.Sprint(size))
		rw.Write(content(size))
	}, upstream.Options{})
	conn, in := w.raw(t, "")
	last := ""
	for _, size := range []int{5 << 20, 10, exchange.WorthAPipe, exchange.WorthAPipe + 9000, 1 << 20, 1<<20 + exchange.WorthAPipe + 1} {
		send(t, conn, fmt.Appendf(nil, "GET /?size=%d HTTP/1.1\r\nHost: a\r\n\r\n", size))
		response, err := http.ReadResponse(in, nil)
		if err != nil {
			t.Fatal(err)
		}
		got, err := io.ReadAll(response.Body)
		if err != nil || !bytes.Equal(got, content(size)) {
			t.Fatalf("of %d bytes came %d, error %v", size, len(got), err)
		}
		status, sent := w.line(t)
		expect(t, "logged", fmt.Sprint(status, sent), fmt.Sprint(200, size))
		if last != "" {
			expect(t, "the target's connection", *remotes.Load(), last)
		}
		last = *remotes.Load()
	}
}

// A pipe holds few pieces, however small they are: what does not fit goes through
// memory, in its order.
func TestWireLongBodyInManySmallPieces(t *testing.T) {
	const size, piece = 600 << 10, 1000
	w := newBufferingWire(t, func(rw http.ResponseWriter, r *http.Request) {
		rw.Header().Set("Content-Length", fmt.Sprint(size))
		flusher := rw.(http.Flusher)
		for rest := content(size); len(rest) > 0; rest = rest[min(piece, len(rest)):] {
			rw.Write(rest[:min(piece, len(rest))])
			flusher.Flush()
		}
	}, upstream.Options{})
	response, err := http.Get(w.url)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	if got, err := io.ReadAll(response.Body); err != nil || !bytes.Equal(got, content(size)) {
		t.Fatalf("of %d bytes came %d, error %v", size, len(got), err)
	}
}

// Kept as a whole, a body that its target does not finish is a page.
func TestWireTargetDiesInALongBodyThatIsKept(t *testing.T) {
	w := newBufferingWire(t, func(rw http.ResponseWriter, r *http.Request) {
		rw.Header().Set("Content-Length", fmt.Sprint(900<<10))
		rw.Write(content(800 << 10))
		panic(http.ErrAbortHandler)
	}, upstream.Options{})
	response, err := http.Get(w.url)
	if err != nil {
		t.Fatal(err)
	}
	response.Body.Close()
	expect(t, "status", response.StatusCode, 502)
	w.expectLogged(t, 502)
}

func TestWireTargetDiesInALongBody(t *testing.T) {
	w := newWire(t, func(rw http.ResponseWriter, r *http.Request) {
		rw.Header().Set("Content-Length", fmt.Sprint(5<<20))
		rw.Write(content(3 << 20))
		panic(http.ErrAbortHandler)
	}, upstream.Options{})
	_, in := w.raw(t, "GET / HTTP/1.1\r\nHost: a\r\n\r\n")
	response, err := http.ReadResponse(in, nil)
	if err != nil {
		t.Fatal(err)
	}
	if got, err := io.ReadAll(response.Body); err == nil {
		t.Errorf("the client takes %d bytes for the whole", len(got))
	}
	w.expectLogged(t, 502)
}

func TestWireClientLeavesInALongBody(t *testing.T) {
	gone := make(chan struct{})
	w := newWire(t, func(rw http.ResponseWriter, r *http.Request) {
		defer close(gone)
		rw.Header().Set("Content-Length", fmt.Sprint(64<<20))
		part := content(1 << 20)
		for range 2 {
			rw.Write(part)
		}
		<-r.Context().Done()
	}, upstream.Options{})
	conn, in := w.raw(t, "GET / HTTP/1.1\r\nHost: a\r\n\r\n")
	if _, err := io.CopyN(io.Discard, in, 1<<20); err != nil {
		t.Fatal(err)
	}
	conn.Close()
	within(t, "the target is told", gone)
	w.expectLogged(t, 200) // a part had been sent
}

// The drain's time is up in a long body, of which the target has no more to give
// for now, or the client takes nothing.
func TestWireCutInALongBody(t *testing.T) {
	for _, slow := range []string{"client", "target"} {
		gone, waits := make(chan struct{}), make(chan struct{})
		var wrote atomic.Int64
		w := newWire(t, func(rw http.ResponseWriter, r *http.Request) {
			defer close(gone)
			rw.Header().Set("Content-Length", fmt.Sprint(64<<20))
			part := content(1 << 20)
			for i := range 48 {
				if slow == "target" && i == 2 {
					close(waits)
					break
				}
				n, err := rw.Write(part)
				if wrote.Add(int64(n)); err != nil {
					return
				}
			}
			<-r.Context().Done()
		}, upstream.Options{})
		conn := w.slowly(t)
		if slow == "target" {
			<-waits
			if _, err := io.CopyN(io.Discard, conn, 1<<20); err != nil {
				t.Fatal(err)
			}
		} else {
			eventually(t, "the client is behind", func() bool {
				before := wrote.Load()
				time.Sleep(50 * time.Millisecond)
				return before > 1<<20 && wrote.Load() == before
			})
		}
		w.cut(service.ErrDrained)
		within(t, "the target of a slow "+slow+" is told", gone)
		w.expectLogged(t, 504)
		if response, err := http.ReadResponse(bufio.NewReader(conn), nil); err == nil {
			if _, err = io.Copy(io.Discard, response.Body); err == nil {
				t.Errorf("slow %s: the client takes a part of the response for the whole", slow)
			}
		}
	}
}
