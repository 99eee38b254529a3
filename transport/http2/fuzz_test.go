package http2

import (
	"bytes"
	"io"
	"net"
	"testing"
	"time"

	"github.com/rs/zerolog"
	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"

	"kamal-proxy/transport/exchange"
)

// script is a connection whose client has said all that it will.
type script struct{ *bytes.Reader }

func (script) Write(p []byte) (int, error)      { return len(p), nil }
func (script) Close() error                     { return nil }
func (script) LocalAddr() net.Addr              { return &net.TCPAddr{} }
func (script) RemoteAddr() net.Addr             { return &net.TCPAddr{} }
func (script) SetDeadline(time.Time) error      { return nil }
func (script) SetReadDeadline(time.Time) error  { return nil }
func (script) SetWriteDeadline(time.Time) error { return nil }

func frames(write func(f *http2.Framer, block func(pairs ...string) []byte)) []byte {
	var out, block bytes.Buffer
	encoder := hpack.NewEncoder(&block)
	f := http2.NewFramer(&out, nil)
	f.AllowIllegalWrites = true
	f.WriteSettings()
	write(f, func(pairs ...string) []byte {
		block.Reset()
		for i := 0; i < len(pairs); i += 2 {
			encoder.WriteField(hpack.HeaderField{Name: pairs[i], Value: pairs[i+1]})
		}
		return bytes.Clone(block.Bytes())
	})
	return out.Bytes()
}

// FuzzConnection serves what a client might send. What reaches the Handler must
// be fit for HTTP/1.1; nothing may hang or panic.
func FuzzConnection(f *testing.F) {
	f.Add([]byte{})
	f.Add(frames(func(f *http2.Framer, block func(...string) []byte) {
		f.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: block(get...), EndHeaders: true, EndStream: true})
		f.WriteHeaders(http2.HeadersFrameParam{StreamID: 3, BlockFragment: block(with(post, "content-length", "3", "cookie", "a", "cookie", "b")...), EndHeaders: true, PadLength: 3})
		f.WriteDataPadded(3, false, []byte("ab"), []byte{0})
		f.WriteData(3, false, []byte("c"))
		f.WriteHeaders(http2.HeadersFrameParam{StreamID: 3, BlockFragment: block("x-t", "y"), EndHeaders: true, EndStream: true})
	}))
	f.Add(frames(func(f *http2.Framer, block func(...string) []byte) {
		whole := block(with(post, "te", "trailers", "expect", "100-continue")...)
		f.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: whole[:5], Priority: http2.PriorityParam{StreamDep: 3}})
		f.WriteContinuation(1, false, whole[5:9])
		f.WriteContinuation(1, true, whole[9:])
		f.WriteSettings(window(1), http2.Setting{ID: http2.SettingHeaderTableSize, Val: 0})
		f.WriteWindowUpdate(0, 7)
		f.WriteWindowUpdate(1, 1<<31-1)
		f.WritePing(false, [8]byte{})
		f.WritePing(true, retirement)
		f.WritePriority(1, http2.PriorityParam{StreamDep: 1})
		f.WriteRSTStream(1, 8)
		f.WriteGoAway(0, 0, nil)
	}))
	f.Fuzz(func(t *testing.T, said []byte) {
		s := NewServer(Config{Log: zerolog.Nop(), HeadTimeout: time.Second, Handler: func(e exchange.Exchange) {
			r := e.Request()
			if !isToken(r.Method) || r.Method == "CONNECT" || r.Target == "" || !only(r.Target, &targetChars) || !exchange.IsAuthority(r.Authority) {
				t.Errorf("%q %q %q", r.Method, r.Target, r.Authority)
			}
			for _, f := range r.Header {
				if !isToken(f.Name) || !isValue(f.Value) && f.Name != "cookie" || isOurs(f.Name) && f.Name != "te" && f.Name != "content-length" {
					t.Errorf("field %q: %q", f.Name, f.Value)
				}
			}
			n, err := io.Copy(io.Discard, r.Body)
			if err == nil && r.ContentLength >= 0 && n != r.ContentLength {
				t.Errorf("%d bytes of %d", n, r.ContentLength)
			}
			e.Respond(200, r.Header, -1)
			io.WriteString(e, "body")
		}})
		served := make(chan struct{})
		go func() {
			defer close(served)
			s.Serve(script{bytes.NewReader(append([]byte(http2.ClientPreface), said...))}, Peer{Scheme: "https"})
		}()
		select {
		case <-served:
		case <-time.After(patience):
			t.Fatal("it hangs")
		}
		if s.Count() != 0 {
			t.Error("the connection is still there")
		}
	})
}
