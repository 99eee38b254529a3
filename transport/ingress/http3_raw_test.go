package ingress

import (
	"bytes"
	"context"
	"io"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/quic-go/qpack"
	"github.com/quic-go/quic-go"
	"github.com/quic-go/quic-go/quicvarint"

	"kamal-proxy/transport/calm"
	"kamal-proxy/transport/exchange"
)

// raw3 is a connection on which a test sends what it wants.
func raw3(t testing.TB, s *site3) *quic.Conn {
	t.Helper()
	// Its pings find out that the connection was closed where that packet was lost.
	conn, err := quic.DialAddr(t.Context(), s.addr, clientTLS("example.com"), &quic.Config{KeepAlivePeriod: 200 * time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.CloseWithError(0, "") })
	return conn
}

// frame3 is one frame (RFC 9114, section 7.1).
func frame3(kind uint64, payload []byte) []byte {
	return append(quicvarint.Append(quicvarint.Append(nil, kind), uint64(len(payload))), payload...)
}

// head3 is a HEADERS frame with these fields.
func head3(pairs ...string) []byte {
	var block bytes.Buffer
	encoder := qpack.NewEncoder(&block)
	for i := 0; i < len(pairs); i += 2 {
		encoder.WriteField(qpack.HeaderField{Name: pairs[i], Value: pairs[i+1]})
	}
	return frame3(1, block.Bytes())
}

// open3 begins a stream with these bytes.
func open3(t testing.TB, conn *quic.Conn, data []byte) *quic.Stream {
	t.Helper()
	stream, err := conn.OpenStreamSync(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	stream.SetDeadline(time.Now().Add(patience))
	if _, err := stream.Write(data); err != nil {
		t.Fatal(err)
	}
	return stream
}

// status3 returns the status of the response on a stream, or what came instead.
func status3(stream *quic.Stream) string {
	r := quicvarint.NewReader(stream)
	for {
		kind, err := quicvarint.Read(r)
		if err != nil {
			return err.Error()
		}
		length, err := quicvarint.Read(r)
		if err != nil {
			return err.Error()
		}
		payload := make([]byte, length)
		if _, err := io.ReadFull(r, payload); err != nil {
			return err.Error()
		}
		if kind != 1 {
			continue
		}
		field, err := qpack.NewDecoder().Decode(payload)()
		if err != nil || field.Name != ":status" {
			return field.Name
		}
		return field.Value
	}
}

func TestHTTP3RequestsThatWouldNotBeOneInHTTP1(t *testing.T) {
	s, _ := serve3(t, func(e exchange.Exchange) {
		if e.Request().Path != "/good" {
			t.Errorf("%s %q at %q reached the handler", e.Request().Method, e.Request().Target, e.Request().Authority)
		}
		ok(e)
	})
	pseudo := func(method, path, authority string) []string {
		return []string{":method", method, ":scheme", "https", ":authority", authority, ":path", path}
	}
	for _, c := range [][]string{
		pseudo("GET", "/a b", "h"),
		pseudo("GET", "/a HTTP/1.1\r\nX: y", "h"),
		pseudo("GET", "*", "h"),
		pseudo("GET", "http://other/", "h"),
		pseudo("GET", "good", "h"),
		pseudo("GET /x", "/", "h"),
		pseudo("GET", "/", "a b"),
		pseudo("GET", "/", "u@h"),
		append(pseudo("GET", "/", "h"), "host", "other"),
		append(pseudo("GET", "/", "h"), "content-length", "x"),
		append(pseudo("GET", "/", "h"), "transfer-encoding", "chunked"),
		append(pseudo("POST", "/", "h"), "content-length", "1", "content-length", "2"),
		{":method", "CONNECT", ":authority", "h:443"},
		append(pseudo("CONNECT", "/", "h"), ":protocol", "websocket"),
	} {
		stream := open3(t, raw3(t, s), head3(c...))
		stream.Close()
		if got := status3(stream); got == "200" || got == "" {
			t.Errorf("%q got %q", c, got)
		}
	}
	stream := open3(t, raw3(t, s), head3(append(pseudo("GET", "/good", "h"), "host", "h")...))
	stream.Close()
	if got := status3(stream); got != "200" {
		t.Errorf("a good one got %s", got)
	}
}

func TestHTTP3CONNECTIsNotImplemented(t *testing.T) {
	s, _ := serve3(t, func(exchange.Exchange) { t.Error("a tunnel was asked for") })
	for _, pairs := range [][]string{
		{":method", "CONNECT", ":authority", "h:443"},
		{":method", "CONNECT", ":scheme", "https", ":authority", "h", ":path", "/", ":protocol", "websocket"},
	} {
		if got := status3(open3(t, raw3(t, s), head3(pairs...))); got != "501" {
			t.Errorf("%q got %s", pairs, got)
		}
	}
}

func TestHTTP3HeadTooLarge(t *testing.T) {
	s, _ := serve3(t, ok)
	for _, pairs := range [][]string{
		{"x", strings.Repeat("x", defaultHeaderBytes)},
		{"x", strings.Repeat("x", defaultHeaderBytes/2), "y", strings.Repeat("y", defaultHeaderBytes/2)},
	} {
		conn := raw3(t, s)
		head := head3(append([]string{":method", "GET", ":scheme", "https", ":authority", "h", ":path", "/"}, pairs...)...)
		stream := open3(t, conn, nil)
		go stream.Write(head)
		if got := status3(stream); got != "431" {
			t.Errorf("got %s", got)
		}
	}
}

func TestHTTP3MalformedBodies(t *testing.T) {
	failed := make(chan error, 1)
	s, _ := serve3(t, func(e exchange.Exchange) {
		_, err := io.ReadAll(e.Request().Body)
		failed <- err
		ok(e)
	})
	for body, want := range map[string]string{"abc": errShortBody.Error(), "abcdef": "too much data"} {
		stream := open3(t, raw3(t, s), append(head3(":method", "POST", ":scheme", "https", ":authority", "h", ":path", "/",
			"content-length", "5"), frame3(0, []byte(body))...))
		stream.Close()
		err := receive(t, failed)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %s", body, err, want)
		}
	}
}

// A client that does not say whether its request has a body is not waited for
// without end, and one that never ends its head keeps no connection.
func TestHTTP3SlowHeads(t *testing.T) {
	calm.Try(t, func(t testing.TB, unit time.Duration) {
		s := start3(t, Config{HeadTimeout: unit, IdleTimeout: 4 * unit, Handler: func(exchange.Exchange) {
			t.Error("half a request was served")
		}})
		whole := head3(":method", "GET", ":scheme", "https", ":authority", "h", ":path", "/")
		if got := status3(open3(t, raw3(t, s), whole)); !strings.Contains(got, "canceled by remote") {
			t.Errorf("an open end got %q", got)
		}
		conn := raw3(t, s)
		if got := status3(open3(t, conn, whole[:len(whole)-1])); !strings.Contains(got, "0x100") { // H3_NO_ERROR
			t.Errorf("half a head got %q", got)
		}
		receive(t, conn.Context().Done())
	})
}

// Requests that are cancelled faster than they end are not more at once for
// that.
func TestHTTP3ManyCancelledRequests(t *testing.T) {
	var running atomic.Int64
	hold := make(chan struct{})
	s, _ := serve3(t, func(e exchange.Exchange) {
		running.Add(1)
		io.Copy(io.Discard, e.Request().Body)
		<-hold
		ok(e)
	})
	defer close(hold)
	conn := raw3(t, s)
	head := head3(":method", "POST", ":scheme", "https", ":authority", "h", ":path", "/")
	var streams []*quic.Stream
	for range http3Streams {
		streams = append(streams, open3(t, conn, head))
	}
	within(t, "all run", func() bool { return running.Load() == http3Streams })
	for _, stream := range streams {
		stream.CancelRead(0)
		stream.CancelWrite(0)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	if _, err := conn.OpenStreamSync(ctx); err == nil {
		t.Errorf("%d requests run, and one more may begin", running.Load())
	}
}
