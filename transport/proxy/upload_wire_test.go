package proxy

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"testing"

	"kamal-proxy/transport/exchange"
	"kamal-proxy/transport/upstream"
)

// Long uploads of a known length go to the target within the kernel, behind a
// first part, and leave both connections usable.
func TestWireLongUploadsAreWhole(t *testing.T) {
	arrived := make(chan []byte, 1)
	w := newWire(t, func(rw http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			t.Error(err)
		}
		arrived <- body
	}, upstream.Options{})
	conn, in := w.raw(t, "")
	const first = 64 << 10
	for _, size := range []int{10, first, first + exchange.WorthAPipe - 1, first + exchange.WorthAPipe, first + 1<<20, 7<<20 + 1} {
		send(t, conn, fmt.Appendf(nil, "PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n", size))
		send(t, conn, content(size))
		response, err := http.ReadResponse(in, nil)
		if err != nil {
			t.Fatal(err)
		}
		expect(t, "status", response.StatusCode, 200)
		if got := <-arrived; !bytes.Equal(got, content(size)) {
			t.Fatalf("of %d bytes came %d", size, len(got))
		}
		w.expectLogged(t, 200)
	}
}

// A long upload that its client breaks off never looks whole to the target.
func TestWireClientLeavesInALongUpload(t *testing.T) {
	failed := make(chan error, 1)
	w := newWire(t, func(rw http.ResponseWriter, r *http.Request) {
		_, err := io.ReadAll(r.Body)
		failed <- err
	}, upstream.Options{})
	conn, _ := w.raw(t, fmt.Sprintf("PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n", 4<<20))
	send(t, conn, content(3<<20))
	conn.Close()
	if err := <-failed; err == nil {
		t.Error("the target takes it for the whole")
	}
	w.expectLogged(t, 499)
}

// A target that answers in the middle of a long upload is heard.
func TestWireEarlyAnswerToALongUpload(t *testing.T) {
	w := newWire(t, func(rw http.ResponseWriter, r *http.Request) {
		io.CopyN(io.Discard, r.Body, 1<<20)
		rw.WriteHeader(http.StatusForbidden)
	}, upstream.Options{})
	conn, in := w.raw(t, fmt.Sprintf("PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n", 64<<20))
	go conn.Write(content(32 << 20)) // ends when the connection does
	response, err := http.ReadResponse(in, nil)
	if err != nil {
		t.Fatal(err)
	}
	expect(t, "status", response.StatusCode, 403)
	w.expectLogged(t, 403)
}
