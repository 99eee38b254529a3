package ingress

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"io"
	"log"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/quic-go/quic-go"

	"kamal-proxy/transport/calm"
	"kamal-proxy/transport/exchange"
	"kamal-proxy/transport/quicport"
)

func TestHTTP3AbortResetsTheStreamOnly(t *testing.T) {
	hanging := make(chan exchange.Exchange, 1)
	s, web := serve3(t, func(e exchange.Exchange) {
		if e.Request().Path == "/ok" {
			ok(e)
			return
		}
		e.Respond(200, nil, -1)
		e.Write([]byte("part"))
		e.Flush()
		hanging <- e
		<-e.Context().Done()
		if _, err := e.Write([]byte("x")); err == nil {
			t.Error("a write after Abort is no error")
		}
	})
	_, _, err := fetch3(web, request(t, "GET", "https://"+s.addr+"/ok", nil))
	if err != nil {
		t.Fatal(err)
	}
	response, err := web.Do(request(t, "GET", "https://"+s.addr+"/", nil))
	if err != nil {
		t.Fatal(err)
	}
	e := receive(t, hanging)
	e.Abort()
	body, err := io.ReadAll(response.Body)
	response.Body.Close()
	if err == nil {
		t.Errorf("%q looks whole", body)
	}
	e.Abort() // late, and maybe after the end
	if _, body, err := fetch3(web, request(t, "GET", "https://"+s.addr+"/ok", nil)); err != nil || body != "ok" {
		t.Errorf("afterwards %q, %v", body, err)
	}
	if n := s.sessions.count(); n != 1 {
		t.Errorf("%d connections, want the same for all", n)
	}
}

func TestHTTP3AbortUnblocksAWriter(t *testing.T) {
	ended, aborts := make(chan error, 1), make(chan func(), 1)
	s, web := serve3(t, func(e exchange.Exchange) {
		aborts <- e.Abort
		e.Respond(200, nil, -1)
		var err error
		for piece := make([]byte, 1<<16); err == nil; {
			_, err = e.Write(piece) // nobody reads
		}
		ended <- err
	})
	response, err := web.Do(request(t, "GET", "https://"+s.addr, nil))
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	receive(t, aborts)()
	receive(t, ended)
}

func TestHTTP3WhatIsNotWholeIsReset(t *testing.T) {
	for name, handler := range map[string]Handler{
		"no answer": func(exchange.Exchange) {},
		"too short": func(e exchange.Exchange) { e.Respond(200, nil, 5); e.Write([]byte("ab")); e.Flush() },
		"panic":     func(e exchange.Exchange) { e.Respond(200, nil, -1); e.Flush(); panic("oops") },
	} {
		t.Run(name, func(t *testing.T) {
			s, web := serve3(t, handler)
			if _, body, err := fetch3(web, request(t, "POST", "https://"+s.addr, strings.NewReader("x"))); err == nil {
				t.Errorf("%q looks whole", body)
			}
			if name == "panic" {
				contains(t, s.log.String(), `"level":"error"`, "oops")
			}
		})
	}
}

func TestHTTP3UnknownNameFailsTheHandshake(t *testing.T) {
	s := start3(t, Config{Handler: func(exchange.Exchange) { t.Error("a request came through") }})
	for _, name := range []string{"other.example", ""} {
		conn, err := quic.DialAddr(t.Context(), s.addr, clientTLS(name), nil)
		if err == nil {
			conn.CloseWithError(0, "")
			t.Errorf("the handshake for %q succeeded", name)
		}
	}
	conn, err := quic.DialAddr(t.Context(), s.addr, &tls.Config{InsecureSkipVerify: true, ServerName: "example.com", NextProtos: []string{"h2"}}, nil)
	if err == nil {
		conn.CloseWithError(0, "")
		t.Error("another protocol was spoken")
	}
	s.complaints.mu.Lock()
	failed := s.complaints.failed
	s.complaints.mu.Unlock()
	if failed != 2 {
		t.Errorf("%d failures were counted, want 2", failed)
	}
	lacks(t, s.log.String(), `"level":"info"`, `"level":"warn"`, `"level":"error"`)
}

func TestHTTP3JunkIsSilent(t *testing.T) {
	s, web := serve3(t, ok)
	conn, err := net.Dial("udp", s.addr)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	for i := range 200 {
		junk := make([]byte, 1200)
		for j := range junk {
			junk[j] = byte(i * (j + 1))
		}
		if i%2 == 0 { // what could be a first packet of QUIC
			copy(junk, []byte{0xc3, 0, 0, 0, 1, 8})
		}
		conn.Write(junk)
	}
	if _, body, err := fetch3(web, request(t, "GET", "https://"+s.addr, nil)); body != "ok" || err != nil {
		t.Errorf("got %q, %v", body, err)
	}
	if s.log.String() != "" {
		t.Errorf("junk was logged: %s", s.log)
	}
}

func TestHTTP3IdleConnectionsAreClosed(t *testing.T) {
	calm.Try(t, func(t testing.TB, unit time.Duration) {
		s := start3(t, Config{IdleTimeout: unit, Handler: func(e exchange.Exchange) {
			<-time.After(3 * unit) // a request that takes longer is no idleness
			ok(e)
		}})
		web := client3(t)
		if _, body, err := fetch3(web, request(t, "GET", "https://"+s.addr, nil)); body != "ok" || err != nil {
			t.Errorf("got %q, %v", body, err)
		}
		within(t, "the connection is closed", func() bool { return s.sessions.count() == 0 })
		receive(t, raw3(t, s).Context().Done())
	})
}

func TestHTTP3ShutdownLetsRequestsEnd(t *testing.T) {
	begun, finish := make(chan struct{}, 1), make(chan struct{})
	s, web := serve3(t, func(e exchange.Exchange) {
		if e.Request().Path == "/slow" {
			begun <- struct{}{}
			<-finish
			e.Respond(200, nil, 1<<20)
			e.Write(make([]byte, 1<<20))
			return
		}
		ok(e)
	})
	idle := raw3(t, s) // takes no notice of GOAWAY
	type answer struct {
		n   int
		err error
	}
	answered := make(chan answer, 1)
	go func() {
		_, body, err := fetch3(web, request(t, "GET", "https://"+s.addr+"/slow", nil))
		answered <- answer{len(body), err}
	}()
	receive(t, begun)
	shut := make(chan error, 1)
	go func() { shut <- s.Shutdown(t.Context()) }()
	receive(t, idle.Context().Done())
	ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer cancel()
	if conn, err := quic.DialAddr(ctx, s.addr, clientTLS("example.com"), nil); err == nil {
		conn.CloseWithError(0, "")
		t.Error("a new connection was let in")
	}
	select {
	case err := <-shut:
		t.Fatalf("Shutdown did not wait: %v", err)
	default:
	}
	close(finish)
	if a := receive(t, answered); a.n != 1<<20 || a.err != nil {
		t.Errorf("%d bytes, %v", a.n, a.err)
	}
	if err := receive(t, shut); err != nil {
		t.Error(err)
	}
}

func TestHTTP3ShutdownCutsOffWhatDoesNotEnd(t *testing.T) {
	begun, gone := make(chan struct{}, 1), make(chan struct{})
	s, web := serve3(t, func(e exchange.Exchange) {
		begun <- struct{}{}
		<-e.Context().Done()
		close(gone)
	})
	answered := make(chan error, 1)
	go func() {
		_, _, err := fetch3(web, request(t, "GET", "https://"+s.addr, nil))
		answered <- err
	}()
	receive(t, begun)
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if err := s.Shutdown(ctx); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("got %v", err)
	}
	receive(t, gone)
	if receive(t, answered) == nil {
		t.Error("the request was answered")
	}
}

func TestHTTP3ServeAfterShutdown(t *testing.T) {
	h := NewHTTP3(Config{TLS: tlsConfig(nil), Handler: ok})
	if err := h.Shutdown(t.Context()); err != nil {
		t.Error(err)
	}
	conn, err := ListenUDP(0)
	if err != nil {
		t.Fatal(err)
	}
	if err := h.Serve(quicport.New(conn, 0, quicport.NewKey(), nil)); err != nil {
		t.Error(err)
	}
	if err := conn.Close(); !errors.Is(err, net.ErrClosed) {
		t.Errorf("the port was left open: %v", err)
	}
}

func TestHTTP3LostPort(t *testing.T) {
	conn, err := ListenUDP(0)
	if err != nil {
		t.Fatal(err)
	}
	h := NewHTTP3(Config{TLS: tlsConfig(nil), Handler: ok})
	served := make(chan error, 1)
	go func() { served <- h.Serve(quicport.New(conn, 0, quicport.NewKey(), nil)) }()
	conn.Close()
	if err := receive(t, served); err == nil || !strings.Contains(err.Error(), "unable to serve HTTP/3") {
		t.Errorf("got %v", err)
	}
	if err := h.Shutdown(t.Context()); err != nil {
		t.Error(err)
	}
}

func TestListenUDPErrorsSayWhatToDo(t *testing.T) {
	taken, err := ListenUDP(0)
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	port := udpPort(taken.LocalAddr())
	_, err = ListenUDP(port)
	if !errors.Is(err, syscall.EADDRINUSE) {
		t.Fatalf("got %v", err)
	}
	contains(t, err.Error(), "UDP port "+itoa(port), "in use", "--http3", "--https-port")
}

// buffersTold: quic-go tells of the socket's buffers once in a process.
var buffersTold bool

func TestHTTP3SmallBuffersAreADetail(t *testing.T) {
	if buffersTold {
		t.Skip("it has been told")
	}
	buffersTold = true
	var told bytes.Buffer
	usual, flags, output := slog.Default(), log.Flags(), log.Writer()
	slog.SetDefault(slog.New(slog.NewTextHandler(&told, &slog.HandlerOptions{Level: slog.LevelDebug})))
	defer func() {
		slog.SetDefault(usual)
		log.SetOutput(output)
		log.SetFlags(flags)
	}()
	conn, err := ListenUDP(0)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	transport := &quic.Transport{Conn: struct{ net.PacketConn }{conn}} // whose buffers cannot be set
	defer transport.Close()
	listener, err := NewHTTP3(Config{TLS: tlsConfig(nil), Handler: ok}).listen(transport)
	if err != nil {
		t.Fatal(err)
	}
	listener.Close()
	contains(t, told.String(), "level=DEBUG", "buffer")
	told.Reset()
	log.Print("something else")
	contains(t, told.String(), "level=INFO")
}

func TestRushAsksForProof(t *testing.T) {
	var r rush
	asked := 0
	for range 3 * rushBegins { // within two seconds, however they fall
		if r.on(nil) {
			asked++
		}
	}
	if asked < rushBegins {
		t.Errorf("asked %d times", asked)
	}
	if new(rush).on(nil) {
		t.Error("the first was asked")
	}
}

func TestAltSvc(t *testing.T) {
	own := func(e exchange.Exchange) {
		if e.Request().Path == "/own" {
			e.Respond(200, fields("alt-svc", "clear"), 0)
			return
		}
		e.Respond(404, nil, 0)
	}
	source := func(*tls.ClientHelloInfo) (*tls.Certificate, error) {
		c := certificate()
		return &c, nil
	}
	for _, port := range []int{0, 8443} {
		s := start(t, Config{Handler: own, TLS: tlsConfig(source), HTTP3Port: port})
		for _, h2 := range []bool{false, true} {
			transport := &http.Transport{ForceAttemptHTTP2: h2, TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}
			web := &http.Client{Transport: transport, Timeout: patience}
			for path, want := range map[string]string{"/own": "clear", "/": `h3=":8443"; ma=2592000`} {
				if port == 0 && path == "/" {
					want = ""
				}
				response, err := web.Get("https://" + s.addr + path)
				if err != nil {
					t.Fatal(err)
				}
				response.Body.Close()
				if got := strings.Join(response.Header[fieldAltSvc], "|"); got != want || h2 != (response.ProtoMajor == 2) {
					t.Errorf("%s of %s with port %d: %q, want %q", response.Proto, path, port, got, want)
				}
			}
			transport.CloseIdleConnections()
		}
	}
}
