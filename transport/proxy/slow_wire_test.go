package proxy

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net"
	"net/http"
	"sync/atomic"
	"testing"
	"time"

	"kamal-proxy/actors/service"
	"kamal-proxy/transport/upstream"
)

// goodbyes returns what is closed when the lease is given back.
func (w *wire) goodbyes() <-chan struct{} {
	said, finish := make(chan struct{}), w.finish
	w.finish = func(l *service.Lease) { finish(l); close(said) }
	return said
}

// slowly asks for something and reads nothing of it.
func (w *wire) slowly(t *testing.T) net.Conn {
	t.Helper()
	conn, err := net.Dial("tcp", w.address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	client := conn.(*net.TCPConn)
	client.SetReadBuffer(256 << 10)
	client.SetDeadline(time.Now().Add(patience))
	send(t, client, []byte("GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"))
	return client
}

// The target is free, and a drain over, while the client has read nothing yet.
func TestWireSlowClientHoldsNobody(t *testing.T) {
	want := content(24 << 20) // more than fits between the ends of two connections
	for _, mode := range []string{"held", "streamed", "limited"} {
		done := make(chan struct{})
		w := newBufferingWire(t, func(rw http.ResponseWriter, r *http.Request) {
			defer close(done)
			if mode == "held" {
				rw.Header().Set("Content-Length", fmt.Sprint(len(want)))
			}
			rw.Write(want)
		}, upstream.Options{})
		if mode == "limited" {
			w.policy.TargetOptions.MaxResponseBodySize = int64(len(want))
		}
		said := w.goodbyes()
		conn := w.slowly(t)
		within(t, mode+": the target writes all", done)
		within(t, mode+": the lease is given back", said)
		w.cut(service.ErrDrained) // too late for anything
		select {
		case <-w.logged:
			t.Errorf("%s: the request has ended", mode)
		default:
		}
		response, err := http.ReadResponse(bufio.NewReader(conn), nil)
		if err != nil {
			t.Fatal(err)
		}
		got, err := io.ReadAll(response.Body)
		if err != nil {
			t.Fatal(err)
		}
		expect(t, mode+": what came is what was sent", bytes.Equal(got, want), true)
		status, sent := w.line(t)
		expect(t, mode+": logged", fmt.Sprint(status, sent), fmt.Sprint(200, len(want)))
		expect(t, mode+": goodbyes", w.finished, 1)
	}
}

// A drain's time is up while the target is not done: the request ends, though
// its client reads nothing.
func TestWireCutWhileTheClientIsSlow(t *testing.T) {
	for name, buffering := range map[string]bool{"streamed": true, "direct": false} {
		part := content(1 << 20)
		var wrote atomic.Int64
		stopped := make(chan struct{})
		w := newBufferingWire(t, func(rw http.ResponseWriter, r *http.Request) {
			defer close(stopped)
			for r.Context().Err() == nil && wrote.Load() < 24<<20 {
				n, err := rw.Write(part)
				wrote.Add(int64(n))
				if err != nil {
					return
				}
			}
			<-r.Context().Done()
		}, upstream.Options{})
		w.policy.TargetOptions.BufferResponses = buffering
		said := w.goodbyes()
		conn := w.slowly(t)
		eventually(t, name+": the client is behind", func() bool {
			if buffering {
				return wrote.Load() == 24<<20
			}
			before := wrote.Load()
			time.Sleep(50 * time.Millisecond)
			return before > 1<<20 && wrote.Load() == before
		})
		w.cut(service.ErrDrained)
		within(t, name+": the lease is given back", said)
		within(t, name+": the target is told", stopped)
		w.expectLogged(t, 504)
		response, err := http.ReadResponse(bufio.NewReader(conn), nil)
		if err == nil {
			_, err = io.Copy(io.Discard, response.Body)
		}
		if err == nil {
			t.Errorf("%s: the client takes a part of the response for the whole", name)
		}
	}
}

func TestWireCutWhileAResponseIsHeld(t *testing.T) {
	half := make(chan struct{})
	w := newBufferingWire(t, func(rw http.ResponseWriter, r *http.Request) {
		rw.Header().Set("Content-Length", "10")
		io.WriteString(rw, "half")
		rw.(http.Flusher).Flush()
		close(half)
		<-r.Context().Done()
	}, upstream.Options{})
	go func() { <-half; w.cut(service.ErrDrained) }()
	request, _ := http.NewRequest("GET", w.url+"/", nil)
	response, _ := w.do(t, request)
	expect(t, "status", response.StatusCode, 504)
	w.expectLogged(t, 504)
}

func TestWireClientLeavesWhileDownloading(t *testing.T) {
	for _, length := range []string{"held", "streamed"} {
		began, gone := make(chan struct{}), make(chan struct{})
		w := newBufferingWire(t, func(rw http.ResponseWriter, r *http.Request) {
			defer close(gone)
			if length == "held" {
				rw.Header().Set("Content-Length", "5000000")
			}
			rw.Write(content(2 << 20))
			rw.(http.Flusher).Flush()
			close(began)
			<-r.Context().Done()
		}, upstream.Options{})
		conn, in := w.raw(t, "GET / HTTP/1.1\r\nHost: a\r\n\r\n")
		<-began
		if length == "streamed" {
			io.CopyN(io.Discard, in, 1<<20)
		}
		conn.Close()
		within(t, length+": the target is told", gone)
		w.expectLogged(t, map[string]int{"held": 499, "streamed": 200}[length])
	}
}

func TestWireClientLeavesWhileUploading(t *testing.T) {
	var asked atomic.Int64
	w := newBufferingWire(t, func(rw http.ResponseWriter, r *http.Request) { asked.Add(1) }, upstream.Options{})
	for _, framing := range []string{"Content-Length: 5000000\r\n\r\n", "Transfer-Encoding: chunked\r\n\r\n400000\r\n"} {
		conn, _ := w.raw(t, "POST / HTTP/1.1\r\nHost: a\r\n"+framing+string(content(2<<20)))
		conn.Close()
		w.expectLogged(t, 499)
	}
	expect(t, "questions to the target", asked.Load(), 0)
	expect(t, "goodbyes", w.finished, 2)
}

// A drain's time is up while the client still uploads: it gets an answer.
func TestWireCutWhileTheClientUploads(t *testing.T) {
	var asked atomic.Int64
	w := newBufferingWire(t, func(rw http.ResponseWriter, r *http.Request) { asked.Add(1) }, upstream.Options{})
	for _, framing := range []string{"Content-Length: 5000000\r\n\r\n", "Transfer-Encoding: chunked\r\n\r\n400000\r\n"} {
		putQuestion := make(chan struct{})
		ask := w.config.Ask
		w.config.Ask = func(r *service.Route) { ask(r); close(putQuestion) }
		_, in := w.raw(t, "POST / HTTP/1.1\r\nHost: a\r\n"+framing+string(content(2<<20)))
		within(t, "the question is put", putQuestion)
		w.cut(service.ErrDrained)
		response, err := http.ReadResponse(in, nil)
		if err != nil {
			t.Fatal(err)
		}
		expect(t, "status", response.StatusCode, 504)
		w.expectLogged(t, 504)
		w.config.Ask = ask
	}
	expect(t, "questions to the target", asked.Load(), 0)
	expect(t, "goodbyes", w.finished, 2)
}
