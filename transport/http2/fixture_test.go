package http2

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/rs/zerolog"
	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"

	"kamal-proxy/transport/exchange"
)

// patience is how long a test waits for what must happen.
const patience = 30 * time.Second

type handler = func(exchange.Exchange)

// site is a server under test.
type site struct {
	*Server
	addr string
}

// start serves on a free port of the loopback interface, without TLS.
func start(t testing.TB, config Config) *site {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	config.Log = zerolog.Nop()
	s := NewServer(config)
	var serving sync.WaitGroup
	serving.Go(func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			serving.Go(func() { s.Serve(conn, peerOf(conn)) })
		}
	})
	t.Cleanup(func() {
		listener.Close()
		s.Close()
		serving.Wait()
	})
	return &site{s, listener.Addr().String()}
}

func peerOf(conn net.Conn) Peer {
	return Peer{Client: netip.MustParseAddrPort(conn.RemoteAddr().String()), Port: 443, Scheme: "https"}
}

func serve(t testing.TB, h handler) *site { return start(t, Config{Handler: h}) }

// client is a connection of bare frames.
type client struct {
	testing.TB
	*http2.Framer
	net.Conn
	block   bytes.Buffer
	encoder *hpack.Encoder
}

// dial opens a connection and makes the greeting with these settings.
func (s *site) dial(t testing.TB, settings ...http2.Setting) *client {
	t.Helper()
	c := s.connect(t)
	io.WriteString(c.Conn, http2.ClientPreface)
	c.WriteSettings(settings...)
	return c
}

func (s *site) connect(t testing.TB) *client {
	t.Helper()
	conn, err := net.Dial("tcp", s.addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	conn.SetDeadline(time.Now().Add(patience))
	c := &client{TB: t, Framer: http2.NewFramer(conn, conn), Conn: conn}
	c.ReadMetaHeaders = hpack.NewDecoder(4096, nil)
	c.AllowIllegalWrites = true
	c.encoder = hpack.NewEncoder(&c.block)
	return c
}

var get = []string{":method", "GET", ":scheme", "https", ":authority", "a.example", ":path", "/"}

var post = []string{":method", "POST", ":scheme", "https", ":authority", "a.example", ":path", "/"}

func with(base []string, pairs ...string) []string {
	return append(base[:len(base):len(base)], pairs...)
}

// changed is get with another value for a field.
func changed(name, value string) []string {
	pairs := append([]string(nil), get...)
	for i := 0; i < len(pairs); i += 2 {
		if pairs[i] == name {
			pairs[i+1] = value
		}
	}
	return pairs
}

func without(name string) []string {
	var pairs []string
	for i := 0; i < len(get); i += 2 {
		if get[i] != name {
			pairs = append(pairs, get[i], get[i+1])
		}
	}
	return pairs
}

func (c *client) encode(pairs ...string) []byte {
	c.block.Reset()
	for i := 0; i < len(pairs); i += 2 {
		c.encoder.WriteField(hpack.HeaderField{Name: pairs[i], Value: pairs[i+1]})
	}
	return c.block.Bytes()
}

// request sends a head.
func (c *client) request(id uint32, end bool, pairs ...string) {
	c.Helper()
	err := c.WriteHeaders(http2.HeadersFrameParam{StreamID: id, BlockFragment: c.encode(pairs...), EndHeaders: true, EndStream: end})
	if err != nil {
		c.Fatal(err)
	}
}

// event is what a test looks at of a frame.
type event struct {
	kind   string // "headers", "data", "reset", "goaway", "ping", "closed"
	stream uint32
	code   http2.ErrCode
	fields []hpack.HeaderField
	data   string
	end    bool
	number uint32 // of the last stream, or a window's growth
}

func (e event) get(name string) string {
	for _, f := range e.fields {
		if f.Name == name {
			return f.Value
		}
	}
	return ""
}

func (e event) String() string {
	return fmt.Sprintf("%s on %d, code %v, %v, %d bytes, end %v, number %d", e.kind, e.stream, e.code, e.fields, len(e.data), e.end, e.number)
}

// next returns the next frame but for SETTINGS and, unless wanted, WINDOW_UPDATE.
func (c *client) next(updates ...bool) event {
	c.Helper()
	for {
		c.SetReadDeadline(time.Now().Add(patience))
		frame, err := c.ReadFrame()
		if err != nil {
			if network, ok := err.(net.Error); ok && network.Timeout() {
				c.Fatal("nothing comes")
			}
			return event{kind: "closed"}
		}
		switch f := frame.(type) {
		case *http2.MetaHeadersFrame:
			return event{kind: "headers", stream: f.StreamID, fields: append([]hpack.HeaderField(nil), f.Fields...), end: f.StreamEnded()}
		case *http2.DataFrame:
			return event{kind: "data", stream: f.StreamID, data: string(f.Data()), end: f.StreamEnded()}
		case *http2.RSTStreamFrame:
			return event{kind: "reset", stream: f.StreamID, code: f.ErrCode}
		case *http2.GoAwayFrame:
			return event{kind: "goaway", code: f.ErrCode, number: f.LastStreamID, data: string(f.DebugData())}
		case *http2.PingFrame:
			kind := "ping"
			if f.IsAck() {
				kind = "pong"
			}
			return event{kind: kind, data: string(f.Data[:])}
		case *http2.WindowUpdateFrame:
			if len(updates) > 0 {
				return event{kind: "window", stream: f.StreamID, number: f.Increment}
			}
		}
	}
}

// want reads the next frame, which must be of that kind.
func (c *client) want(kind string, stream uint32) event {
	c.Helper()
	e := c.next()
	if e.kind != kind || e.stream != stream {
		c.Fatalf("got %v, want %s on %d", e, kind, stream)
	}
	return e
}

// answer reads one whole response, the only one that comes.
func (c *client) answer(stream uint32) (head event, body string, trailer event) {
	c.Helper()
	for head = c.want("headers", stream); strings.HasPrefix(head.get(":status"), "1"); {
		head = c.want("headers", stream)
	}
	if head.end {
		return head, "", trailer
	}
	for {
		e := c.next()
		switch {
		case e.stream != stream || e.kind != "data" && e.kind != "headers":
			c.Fatalf("in a response: %v", e)
		case e.kind == "headers":
			return head, body, e
		}
		body += e.data
		if e.end {
			return head, body, trailer
		}
	}
}

// goaway reads until the connection's end, and returns the last word about it.
func (c *client) goaway() (last event) {
	c.Helper()
	for {
		e := c.next()
		switch e.kind {
		case "goaway":
			last = e
		case "closed":
			return last
		}
	}
}

func fields(pairs ...string) exchange.Header {
	var h exchange.Header
	for i := 0; i < len(pairs); i += 2 {
		h.Add(pairs[i], pairs[i+1])
	}
	return h
}

// ok answers 200 with a body of two bytes.
func ok(e exchange.Exchange) {
	e.Respond(200, nil, 2)
	io.WriteString(e, "ok")
}

func receive[T any](t testing.TB, from <-chan T) T {
	t.Helper()
	select {
	case v := <-from:
		return v
	case <-time.After(patience):
		t.Fatal("nothing comes")
		panic("unreachable")
	}
}

// eventually polls until what is asked for is so.
func eventually(t testing.TB, what string, so func() bool) {
	t.Helper()
	for end := time.Now().Add(patience); !so(); {
		if time.Now().After(end) {
			t.Fatalf("it is not so that %s", what)
		}
		time.Sleep(time.Millisecond)
	}
}

func within(t testing.TB, d time.Duration) context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), d)
	t.Cleanup(cancel)
	return ctx
}
