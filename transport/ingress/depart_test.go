package ingress

import (
	"context"
	"crypto/tls"
	"io"
	"net"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"

	"kamal-proxy/transport/calm"
	"kamal-proxy/transport/exchange"
)

const get11 = "GET / HTTP/1.1\r\nHost: h\r\n\r\n"

// What has begun in any way when the server is retired is served, and told that
// it was the last.
func TestRetireServesWhatIsOnItsWay(t *testing.T) {
	s := serve(t, ok)
	used, fresh, half, pipelined := s.dial(t), s.dial(t), s.dial(t), s.dial(t)
	used.send(get11)
	used.answer()
	half.send(get11[:20])
	pipelined.send(get11 + get11[:20])
	pipelined.answer()
	within(t, "all are accepted", func() bool { return s.conns.count() == 4 })
	s.Retire()
	if s.listens() {
		t.Error("the port is still open")
	}
	time.Sleep(shutdownQuiet + short) // so long is too long where there is no successor
	for name, rest := range map[*client]string{used: get11, fresh: get11, half: get11[20:], pipelined: get11[20:]} {
		name.send(rest)
		head, _ := name.answer()
		contains(t, head, "HTTP/1.1 200 ", "Connection: close\r\n")
		if rest, err := name.rest(); rest != "" || err != nil {
			t.Errorf("then %q, %v", rest, err)
		}
	}
	if err := s.Shutdown(t.Context()); err != nil {
		t.Error(err)
	}
}

func TestRetireServesHandshakesUnderWay(t *testing.T) {
	for _, protocol := range []string{"http/1.1", "h2"} {
		t.Run(protocol, func(t *testing.T) {
			s, _ := secure(t, ok)
			c := s.dial(t)
			within(t, "it is accepted", func() bool { return s.conns.count() == 1 })
			s.Retire()
			time.Sleep(shutdownQuiet + short)
			conn := tls.Client(c.Conn, &tls.Config{InsecureSkipVerify: true, NextProtos: []string{protocol}})
			if err := conn.Handshake(); err != nil {
				t.Fatal(err)
			}
			if protocol == "h2" {
				// the second GOAWAY follows the answer to PING, not that to the request
				saw, ended := strings.CutSuffix(departure(t, conn, nil), " closed")
				first, others, _ := strings.Cut(saw, " ")
				if !ended || first != "goaway" || !slices.Contains([]string{
					"ping goaway headers data", "ping headers goaway data", "ping headers data goaway",
				}, others) {
					t.Errorf("saw %s", saw)
				}
				return
			}
			io.WriteString(conn, get11)
			answer, err := io.ReadAll(conn)
			contains(t, string(answer), "200 OK", "Connection: close", "\r\n\r\nok")
			if err != nil {
				t.Error(err)
			}
		})
	}
}

// departure makes one request on an HTTP/2 connection and reads the frames to
// its end. The SETTINGS are left out, and DATA counts once: whether its end comes
// in a frame of its own depends on who is first, the handler or the writer.
// after, unless it is nil, is called with all that it saw after each frame.
func departure(t *testing.T, conn net.Conn, after func(saw string)) string {
	t.Helper()
	io.WriteString(conn, http2.ClientPreface)
	framer := http2.NewFramer(conn, conn)
	framer.WriteSettings()
	var block strings.Builder
	encoder := hpack.NewEncoder(&block)
	for _, f := range [][2]string{{":method", "GET"}, {":scheme", "https"}, {":authority", "h"}, {":path", "/"}} {
		encoder.WriteField(hpack.HeaderField{Name: f[0], Value: f[1]})
	}
	framer.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: []byte(block.String()), EndStream: true, EndHeaders: true})
	var saw []string
	goaways := []uint32{1<<31 - 1, 1}
	for {
		frame, err := framer.ReadFrame()
		if err != nil {
			return strings.Join(append(saw, "closed"), " ")
		}
		switch f := frame.(type) {
		case *http2.SettingsFrame, *http2.WindowUpdateFrame:
			continue
		case *http2.GoAwayFrame:
			if len(goaways) == 0 || f.LastStreamID != goaways[0] || f.ErrCode != http2.ErrCodeNo {
				t.Errorf("GOAWAY %v, want of %v", f, goaways)
				return "a wrong GOAWAY"
			}
			goaways = goaways[1:]
		case *http2.PingFrame:
			framer.WritePing(true, f.Data)
		}
		kind := strings.ToLower(frame.Header().Type.String())
		if kind == "data" && slices.Contains(saw, kind) {
			continue
		}
		saw = append(saw, kind)
		if after != nil {
			after(strings.Join(saw, " "))
		}
	}
}

// A stream that runs goes on after both GOAWAYs.
func TestRetireOnHTTP2(t *testing.T) {
	entered, leave := make(chan struct{}), make(chan struct{})
	s, _ := secure(t, func(e exchange.Exchange) {
		close(entered)
		<-leave
		ok(e)
	})
	conn, err := tls.Dial("tcp", s.addr, &tls.Config{InsecureSkipVerify: true, NextProtos: []string{"h2"}})
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	conn.SetDeadline(time.Now().Add(patience))
	go func() {
		<-entered
		s.Retire()
	}()
	saw := departure(t, conn, func(saw string) {
		if saw == "goaway ping goaway" {
			close(leave)
		}
	})
	if saw != "goaway ping goaway headers data closed" {
		t.Errorf("saw %s", saw)
	}
}

// A departing server closes idle connections, but not before.
func TestIdleConnectionsAreClosedAfterAWhile(t *testing.T) {
	t.Parallel()
	const late = 4 * time.Second // for a busy machine; less than is between the two
	for name, quiet := range map[string]time.Duration{"Retire": 5 * time.Second, "Shutdown": 500 * time.Millisecond} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := serve(t, ok)
			c := s.dial(t)
			c.send(get11)
			c.answer()
			begun := time.Now()
			if name == "Retire" {
				s.Retire()
			}
			if err := s.Shutdown(t.Context()); err != nil {
				t.Error(err)
			}
			if d := time.Since(begun); d < quiet || d > quiet+late {
				t.Errorf("after %v", d)
			}
			if rest, err := c.rest(); rest != "" || err != nil {
				t.Errorf("got %q, %v", rest, err)
			}
		})
	}
}

// Clients that use their connections again and again lose nothing, whenever it
// is that the server departs.
func TestNothingIsLostOnKeptConnections(t *testing.T) {
	handler := func(e exchange.Exchange) {
		if e.Request().Path == "/slow" {
			time.Sleep(time.Millisecond)
		}
		ok(e)
	}
	for name, depart := range map[string]func(*Server){
		"Retire":   (*Server).Retire,
		"Shutdown": func(s *Server) { s.Shutdown(context.Background()) },
	} {
		t.Run(name, func(t *testing.T) {
			var answered, lost atomic.Int64
			for range 20 {
				s := serve(t, handler)
				var clients, busy sync.WaitGroup
				for i := range 8 {
					c := s.dial(t)
					path := []string{"/", "/slow"}[i%2]
					busy.Add(1)
					clients.Go(func() {
						for n := 0; ; n++ {
							if n == 3 {
								busy.Done()
							}
							if _, err := io.WriteString(c.Conn, "GET "+path+" HTTP/1.1\r\nHost: h\r\n\r\n"); err != nil {
								lost.Add(1)
								return
							}
							last := false
							for line := ""; line != "\r\n"; {
								var err error
								if line, err = c.ReadString('\n'); err != nil {
									lost.Add(1)
									return
								}
								last = last || line == "Connection: close\r\n"
							}
							c.Discard(2)
							answered.Add(1)
							if last {
								c.Conn.Close()
								return
							}
						}
					})
				}
				busy.Wait()
				depart(s.Server)
				clients.Wait()
			}
			if lost.Load() > 0 {
				t.Errorf("%d requests were lost, %d answered", lost.Load(), answered.Load())
			}
		})
	}
}

// A successor that has the same socket takes what comes from the moment on that
// the retired one does not.
func TestNobodyIsRefusedWhileASuccessorTakesOver(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	addr := listener.Addr().String()
	stop, ended := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ended)
		s := &site{addr: addr}
		for {
			select {
			case <-stop:
				return
			default:
				if answer := s.ask(t, get); !strings.HasPrefix(answer, "HTTP/1.1 200 ") {
					t.Errorf("got %q", answer)
				}
			}
		}
	}()
	var retired []*Server
	for range 10 {
		file, err := listener.(*net.TCPListener).File()
		if err != nil {
			t.Fatal(err)
		}
		next, err := net.FileListener(file)
		if err != nil {
			t.Fatal(err)
		}
		file.Close()
		s := NewServer(Config{Handler: ok})
		go s.Serve(listener)
		within(t, "it serves", func() bool { return s.keeps(listener) })
		time.Sleep(short / 5)
		s.Retire()
		retired, listener = append(retired, s), next
	}
	s := NewServer(Config{Handler: ok})
	go s.Serve(listener)
	close(stop)
	<-ended
	for _, s := range append(retired, s) {
		if err := s.Shutdown(t.Context()); err != nil {
			t.Error(err)
		}
	}
}

func (s *Server) keeps(listener net.Listener) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	_, ok := s.listeners[listener]
	return ok
}

func TestRetireOnHTTP3(t *testing.T) {
	t.Parallel()
	calm.Try(t, func(t testing.TB, _ time.Duration) {
		begun, finish := make(chan struct{}, 1), make(chan struct{})
		s, web := serve3(t, func(e exchange.Exchange) {
			if e.Request().Path == "/slow" {
				begun <- struct{}{}
				<-finish
			}
			ok(e)
		})
		answered := make(chan error, 1)
		go func() {
			_, body, err := fetch3(web, request(t, "GET", "https://"+s.addr+"/slow", nil))
			if body != "ok" {
				t.Errorf("got %q", body)
			}
			answered <- err
		}()
		receive(t, begun)
		idle := raw3(t, s) // takes no notice of GOAWAY
		s.Retire()
		if _, body, err := fetch3(client3(t), request(t, "GET", "https://"+s.addr+"/", nil)); body != "ok" {
			t.Errorf("whose handshake comes soon gets %q, %v", body, err)
		}
		within(t, "the door is closed", func() bool { return s.open.Err() != nil })
		retired := time.Now()
		shut := make(chan error, 1)
		go func() { shut <- s.Shutdown(t.Context()) }()
		select {
		case <-shut:
			t.Error("Shutdown did not wait")
		case <-time.After(short):
		}
		close(finish)
		if err := receive(t, answered); err != nil {
			t.Error(err)
		}
		receive(t, idle.Context().Done())
		if d := time.Since(retired); d < 3*time.Second {
			t.Errorf("an idle connection was closed after %v", d)
		}
	})
}
