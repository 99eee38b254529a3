package integration

import (
	"bufio"
	"fmt"
	"hash/crc32"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// instance is an app that ends for real, as a container does whose deploy has
// returned: its port and all its connections close at once.
type instance struct {
	address  string
	server   *http.Server
	underWay atomic.Int64 // requests, but for health checks and tunnels
	served   atomic.Int64
	gone     atomic.Bool
	late     atomic.Int64 // requests that began after the end

	mu      sync.Mutex
	tunnels map[net.Conn]struct{}
}

// What a storm asks for, and what a whole answer is.
const (
	pageEnd   = "</page>"
	eventsEnd = "data: the end\n\n"
	slowEnd   = "at last"
)

// slowTime is how long a slow answer takes: 2 s, less in the short forms.
var slowTime = time.Duration(either(2000, 1000)) * time.Millisecond

// startInstance starts one at an address, if that is free; an empty one is any
// free port.
func startInstance(t testing.TB, address string) *instance {
	t.Helper()
	if address == "" {
		address = "127.0.0.1:0"
	}
	l, err := listenAgain(address)
	if err != nil {
		t.Error(err)
		return nil
	}
	i := &instance{address: l.Addr().String(), tunnels: map[net.Conn]struct{}{}}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /up", func(http.ResponseWriter, *http.Request) {})
	mux.Handle("GET /{$}", i.counted(i.page))
	mux.Handle("POST /upload", i.counted(i.upload))
	mux.Handle("GET /events", i.counted(i.events))
	mux.Handle("GET /slow", i.counted(i.slow))
	mux.HandleFunc("GET /echo", i.echo)
	i.server = &http.Server{Handler: mux}
	go i.server.Serve(l)
	t.Cleanup(func() { i.server.Close(); i.closeTunnels() })
	return i
}

// listenAgain takes a port that was in use a moment ago, or another one where a
// client has got it as its own meanwhile.
func listenAgain(address string) (l net.Listener, err error) {
	for range 25 {
		if l, err = net.Listen("tcp", address); err == nil {
			return l, nil
		}
		<-time.After(20 * time.Millisecond)
	}
	return net.Listen("tcp", "127.0.0.1:0")
}

// end closes all at once, and returns how many requests that has cut.
func (i *instance) end() (cut int64) {
	i.gone.Store(true)
	cut = i.underWay.Load()
	i.server.Close()
	i.closeTunnels()
	return cut
}

func (i *instance) closeTunnels() {
	i.mu.Lock()
	defer i.mu.Unlock()
	for c := range i.tunnels {
		c.Close()
	}
}

func (i *instance) counted(answer http.HandlerFunc) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if i.gone.Load() {
			i.late.Add(1)
		}
		i.served.Add(1)
		i.underWay.Add(1)
		defer i.underWay.Add(-1)
		answer(w, r)
	})
}

func (i *instance) page(w http.ResponseWriter, _ *http.Request) {
	io.WriteString(w, page)
}

var page = strings.Repeat("<p>", 340) + pageEnd

// upload tells how much it got, and its checksum.
func (i *instance) upload(w http.ResponseWriter, r *http.Request) {
	sum := crc32.NewIEEE()
	n, err := io.Copy(sum, r.Body)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	fmt.Fprintf(w, "%d %08x", n, sum.Sum32())
}

func received(body string) string {
	return fmt.Sprintf("%d %08x", len(body), crc32.ChecksumIEEE([]byte(body)))
}

// events sends one every 100 ms, for half a second.
func (i *instance) events(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "text/event-stream")
	for n := range 5 {
		fmt.Fprintf(w, "data: %d\n\n", n)
		w.(http.Flusher).Flush()
		select {
		case <-time.After(100 * time.Millisecond):
		case <-r.Context().Done():
			return
		}
	}
	io.WriteString(w, eventsEnd)
}

func (i *instance) slow(w http.ResponseWriter, r *http.Request) {
	select {
	case <-time.After(slowTime):
		io.WriteString(w, slowEnd)
	case <-r.Context().Done():
	}
}

// echo is a WebSocket that says what it is told.
func (i *instance) echo(w http.ResponseWriter, _ *http.Request) {
	conn, buffered, err := http.NewResponseController(w).Hijack()
	if err != nil {
		return
	}
	i.mu.Lock()
	i.tunnels[conn] = struct{}{}
	i.mu.Unlock()
	defer func() {
		i.mu.Lock()
		delete(i.tunnels, conn)
		i.mu.Unlock()
		conn.Close()
	}()
	fmt.Fprint(conn, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n")
	echoFrames(conn, buffered.Reader)
}

func echoFrames(conn net.Conn, r *bufio.Reader) {
	for {
		f, err := readFrame(r)
		if err != nil || writeFrame(conn, frame{opcode: f.opcode, payload: f.payload}) != nil || f.opcode == 8 {
			return
		}
	}
}
