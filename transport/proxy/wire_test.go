package proxy

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httptrace"
	"net/textproto"
	"strings"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"kamal-proxy/actors/service"
	"kamal-proxy/transport/calm"
	"kamal-proxy/transport/exchange"
	"kamal-proxy/transport/ingress"
	"kamal-proxy/transport/upstream"
)

// patience is how long a test waits for what must happen.
const patience = 30 * time.Second

// wire is a Proxy between real sockets.
type wire struct {
	*stage
	url, address string
	app          *httptest.Server
	logged       chan int // statuses
}

func newWire(t testing.TB, app http.HandlerFunc, options upstream.Options) *wire {
	t.Helper()
	w := &wire{app: httptest.NewServer(app), logged: make(chan int, 100)}
	t.Cleanup(w.app.Close)
	options.Address = w.app.Listener.Addr().String()
	target := upstream.New(options)
	t.Cleanup(target.Close)
	w.stage = newStage(target)
	w.crowd = true
	server := ingress.NewServer(ingress.Config{Log: zerolog.Nop(), Handler: w.serve})
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	w.address = listener.Addr().String()
	w.url = "http://" + w.address
	go server.Serve(listener)
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		if err := server.Shutdown(ctx); err != nil {
			t.Errorf("something was left open: %v", err)
		}
	})
	return w
}

func (w *wire) serve(x exchange.Exchange) {
	w.Serve(x)
	w.mu.Lock()
	status := w.entries[len(w.entries)-1].Status
	w.mu.Unlock()
	w.logged <- status
}

func (w *wire) expectLogged(t testing.TB, want int) {
	t.Helper()
	select {
	case got := <-w.logged:
		expect(t, "logged status", got, want)
	case <-time.After(patience):
		t.Fatal("nothing was logged")
	}
}

func (w *wire) raw(t testing.TB, request string) (net.Conn, *bufio.Reader) {
	t.Helper()
	conn, err := net.Dial("tcp", w.address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	conn.SetDeadline(time.Now().Add(patience))
	send(t, conn, []byte(request))
	return conn, bufio.NewReader(conn)
}

func (w *wire) do(t testing.TB, request *http.Request) (*http.Response, string) {
	t.Helper()
	client := &http.Client{Transport: &http.Transport{DisableCompression: true}, Timeout: patience}
	t.Cleanup(client.CloseIdleConnections)
	response, err := client.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return response, string(body)
}

func TestWireLargeBodies(t *testing.T) {
	const size = 3 << 20
	w := newWire(t, func(rw http.ResponseWriter, r *http.Request) {
		all, _ := io.ReadAll(r.Body)
		rw.Write(all)
	}, upstream.Options{})
	for _, length := range []int64{size, -1} {
		request, _ := http.NewRequest("POST", w.url+"/", strings.NewReader(strings.Repeat("x", size)))
		request.ContentLength = length
		_, body := w.do(t, request)
		expect(t, "echoed bytes", len(body), size)
		w.expectLogged(t, 200)
	}
}

func TestWireEventsComeAtOnce(t *testing.T) {
	next := make(chan struct{})
	w := newWire(t, func(rw http.ResponseWriter, r *http.Request) {
		rw.Header().Set("Content-Type", "text/event-stream")
		rw.WriteHeader(200)
		rw.(http.Flusher).Flush()
		for range next {
			fmt.Fprint(rw, "data: x\n\n")
			rw.(http.Flusher).Flush()
		}
	}, upstream.Options{})
	response, err := (&http.Client{Transport: &http.Transport{DisableKeepAlives: true}}).Get(w.url + "/events") // returns with the head
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	for range 3 {
		next <- struct{}{}
		receive(t, readerConn{r: response.Body}, []byte("data: x\n\n"))
	}
	close(next)
	w.expectLogged(t, 200)
}

// readerConn is a Reader where a connection is wanted.
type readerConn struct {
	net.Conn
	r io.Reader
}

func (c readerConn) Read(p []byte) (int, error) { return c.r.Read(p) }

func TestWireTrailersAndHints(t *testing.T) {
	var trailer string
	w := newWire(t, func(rw http.ResponseWriter, r *http.Request) {
		io.Copy(io.Discard, r.Body)
		trailer = r.Trailer.Get("X-Up")
		rw.Header().Set("Link", "</a.css>")
		rw.WriteHeader(103)
		rw.Header().Del("Link")
		rw.Header().Set("Trailer", "X-Sum")
		rw.WriteHeader(404)
		io.WriteString(rw, "gone")
		rw.Header().Set("X-Sum", "7")
	}, upstream.Options{})
	var hints http.Header
	ctx := httptrace.WithClientTrace(context.Background(), &httptrace.ClientTrace{
		Got1xxResponse: func(code int, h textproto.MIMEHeader) error { hints = http.Header(h); return nil },
	})
	request, _ := http.NewRequestWithContext(ctx, "POST", w.url+"/", io.MultiReader(strings.NewReader("a")))
	request.Trailer = http.Header{"X-Up": {"5"}}
	response, body := w.do(t, request)
	expect(t, "trailer up", trailer, "5")
	expect(t, "hint", hints.Get("Link"), "</a.css>")
	expect(t, "answer", fmt.Sprint(response.StatusCode, body), "404gone")
	expect(t, "leaked hint", response.Header.Get("Link"), "")
	expect(t, "trailer down", response.Trailer.Get("X-Sum"), "7")
}

func TestWireHeadKeepsItsLength(t *testing.T) {
	w := newWire(t, func(rw http.ResponseWriter, r *http.Request) { rw.Header().Set("Content-Length", "1234") }, upstream.Options{})
	request, _ := http.NewRequest("HEAD", w.url+"/", nil)
	response, _ := w.do(t, request)
	expect(t, "Content-Length", response.ContentLength, 1234)
	expect(t, "Content-Type", response.Header.Get("Content-Type"), "")
}

func TestWireTargetTooSlow(t *testing.T) {
	calm.Try(t, func(t testing.TB, unit time.Duration) {
		gone := make(chan struct{})
		w := newWire(t, func(rw http.ResponseWriter, r *http.Request) { <-r.Context().Done(); close(gone) },
			upstream.Options{ResponseTimeout: unit})
		request, _ := http.NewRequest("GET", w.url+"/", nil)
		response, body := w.do(t, request)
		expect(t, "status", response.StatusCode, 504)
		expect(t, "page", strings.Contains(body, "504 Gateway Timeout"), true)
		w.expectLogged(t, 504)
		within(t, "the target is told", gone)
	})
}

func TestWireTargetAway(t *testing.T) {
	w := newWire(t, nil, upstream.Options{})
	w.app.Close()
	request, _ := http.NewRequest("GET", w.url+"/", nil)
	response, _ := w.do(t, request)
	expect(t, "status", response.StatusCode, 502)
	w.expectLogged(t, 502)
}

func TestWireClientLeaves(t *testing.T) {
	reached, gone := make(chan struct{}), make(chan struct{})
	w := newWire(t, func(rw http.ResponseWriter, r *http.Request) {
		close(reached)
		<-r.Context().Done()
		close(gone)
	}, upstream.Options{})
	conn, _ := w.raw(t, "GET / HTTP/1.1\r\nHost: a\r\n\r\n")
	<-reached
	conn.Close()
	<-gone // the target's request is cancelled, too
	w.expectLogged(t, 499)
}

func TestWireTargetDiesHalfway(t *testing.T) {
	for _, framing := range []string{"Content-Length: 100", "Transfer-Encoding: chunked"} {
		w := newWire(t, func(rw http.ResponseWriter, r *http.Request) {
			conn, out, _ := rw.(http.Hijacker).Hijack()
			fmt.Fprintf(out, "HTTP/1.1 200 OK\r\n%s\r\n\r\n4\r\nhalf\r\n", framing)
			out.Flush()
			conn.Close()
		}, upstream.Options{})
		_, in := w.raw(t, "GET / HTTP/1.1\r\nHost: a\r\n\r\n")
		response, err := http.ReadResponse(in, nil)
		if err == nil {
			_, err = io.ReadAll(response.Body)
		}
		if err == nil {
			t.Errorf("with %s the client takes half a response for a whole one", framing)
		}
		w.expectLogged(t, 502)
	}
}

func TestWireMalformedChunks(t *testing.T) {
	w := newWire(t, func(rw http.ResponseWriter, r *http.Request) { io.Copy(io.Discard, r.Body) }, upstream.Options{})
	_, in := w.raw(t, "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n")
	response, err := http.ReadResponse(in, nil)
	if err != nil {
		t.Fatal(err)
	}
	expect(t, "status", response.StatusCode, 400)
	w.expectLogged(t, 400)
}

func TestWireRedirectClosesTheConnection(t *testing.T) {
	w := newWire(t, nil, upstream.Options{})
	w.verdict = service.Verdict{Action: service.Redirect, Scheme: "https", Host: "a", Service: "app"}
	_, in := w.raw(t, "GET //x?a;b HTTP/1.1\r\nHost: a\r\n\r\n")
	got, err := io.ReadAll(in)
	if err != nil {
		t.Fatal(err)
	}
	for _, part := range []string{"HTTP/1.1 301 ", "Location: https://a//x?a;b\r\n", "Connection: close\r\n"} {
		if !strings.Contains(string(got), part) {
			t.Errorf("%q lacks %q", got, part)
		}
	}
}

func TestWireWebSocketIsToldOfASwitch(t *testing.T) {
	w := newWire(t, func(rw http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Upgrade") != "websocket" || !strings.EqualFold(r.Header.Get("Connection"), "upgrade") {
			t.Errorf("the target was asked for %q by %q", r.Header.Get("Upgrade"), r.Header.Get("Connection"))
		}
		conn, io, _ := rw.(http.Hijacker).Hijack()
		defer conn.Close()
		// The first frame comes together with the head.
		fmt.Fprint(io, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n\x81\x02hi")
		io.Flush()
		echo := make([]byte, 8)
		for {
			n, err := io.Read(echo)
			if err != nil {
				return
			}
			conn.Write(echo[:n])
		}
	}, upstream.Options{})
	_, in := w.raw(t, "GET / HTTP/1.1\r\nHost: a\r\nConnection: keep-alive, Upgrade\r\nUpgrade: websocket\r\n\r\n")
	response, err := http.ReadResponse(in, nil)
	if err != nil {
		t.Fatal(err)
	}
	expect(t, "status", response.StatusCode, 101)
	expect(t, "Connection", strings.Join(response.Header.Values("Connection"), "|"), "Upgrade")
	expect(t, "Upgrade", strings.Join(response.Header.Values("Upgrade"), "|"), "websocket")
	receive(t, readerConn{r: in}, []byte("\x81\x02hi"))
	w.cut(service.ErrReplaced)
	receive(t, readerConn{r: in}, []byte("\x88\x02\x03\xe9"))
	if _, err := in.ReadByte(); err != io.EOF {
		t.Errorf("behind the Close frame the client sees %v", err)
	}
	w.expectLogged(t, 101)
}
