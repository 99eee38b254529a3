package integration

import (
	"bytes"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
)

// startOpen runs a daemon before a witness that is asked for localhost by https,
// by plain http, and for any *.example.
func startOpen(t *testing.T, target string, flags ...string) (*daemon, *http.Client) {
	t.Helper()
	d := startDaemon(t)
	certPath, keyPath, pool := certificate(t, t.TempDir(), "localhost")
	d.must(append([]string{"deploy", "web", "--target", target, "--host", "localhost,*.example", "--tls", "--tls-redirect=false",
		"--tls-certificate-path", certPath, "--tls-private-key-path", keyPath}, flags...)...)
	return d, h2Client(pool)
}

// frames is a client's connection of bare HTTP/2 frames.
type frames struct {
	*http2.Framer
	*tls.Conn
	block   bytes.Buffer
	encoder *hpack.Encoder
}

func dialFrames(t *testing.T, d *daemon, settings ...http2.Setting) *frames {
	t.Helper()
	conn, err := tls.Dial("tcp", fmt.Sprintf("127.0.0.1:%d", d.https),
		&tls.Config{ServerName: "localhost", InsecureSkipVerify: true, NextProtos: []string{"h2"}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	conn.SetDeadline(time.Now().Add(patience))
	f := &frames{Framer: http2.NewFramer(conn, conn), Conn: conn}
	f.AllowIllegalWrites = true
	f.ReadMetaHeaders = hpack.NewDecoder(4096, nil)
	f.encoder = hpack.NewEncoder(&f.block)
	io.WriteString(conn, http2.ClientPreface)
	f.WriteSettings(settings...)
	return f
}

// fields compresses pairs of names and values, of whatever characters.
func (f *frames) fields(pairs ...string) []byte {
	f.block.Reset()
	for i := 0; i < len(pairs); i += 2 {
		f.encoder.WriteField(hpack.HeaderField{Name: pairs[i], Value: pairs[i+1]})
	}
	return f.block.Bytes()
}

// ask begins the i-th stream with a request, and more fields.
func (f *frames) ask(i int, end bool, method, path string, more ...string) error {
	return f.head(i, end, append([]string{":method", method, ":scheme", "https", ":authority", "localhost", ":path", path}, more...)...)
}

func (f *frames) head(i int, end bool, pairs ...string) error {
	return f.WriteHeaders(http2.HeadersFrameParam{StreamID: id(i), BlockFragment: f.fields(pairs...), EndHeaders: true, EndStream: end})
}

func id(i int) uint32 { return uint32(2*i + 1) }

// fateOf reads until the i-th stream has an end: it is the status, "reset CODE", or
// that of the connection.
func (f *frames) fateOf(i int) string {
	for {
		frame, err := f.ReadFrame()
		switch frame := frame.(type) {
		case *http2.MetaHeadersFrame:
			if frame.StreamID == id(i) && frame.PseudoValue("status") >= "200" {
				return frame.PseudoValue("status")
			}
		case *http2.RSTStreamFrame:
			if frame.StreamID == id(i) {
				return "reset " + frame.ErrCode.String()
			}
		case *http2.GoAwayFrame:
			return "end " + frame.ErrCode.String()
		}
		if err != nil && !errors.As(err, new(http2.StreamError)) {
			return "end"
		}
	}
}

// last reads until the connection ends, and returns the code of its GOAWAY.
func (f *frames) last() string {
	said := "no GOAWAY"
	for {
		frame, err := f.ReadFrame()
		if goAway, ok := frame.(*http2.GoAwayFrame); ok {
			said = goAway.ErrCode.String()
		}
		if err != nil && !errors.As(err, new(http2.StreamError)) {
			if strings.Contains(err.Error(), "timeout") {
				return said + ", and no end"
			}
			return said
		}
	}
}

// h2Attack is a request that HTTP/2 can carry, and HTTP/1.1 could be hurt by.
type h2Attack struct {
	section string // of RFC 9113
	name    string
	fate    string
	head    []string // all of it
	body    string
	reaches string
}

func h2Attacks() []h2Attack {
	with := func(more ...string) []string {
		return append([]string{":method", "POST", ":scheme", "https", ":authority", "localhost", ":path", "/{me}"}, more...)
	}
	of := func(method, authority, path string) []string {
		return []string{":method", method, ":scheme", "https", ":authority", authority, ":path", path}
	}
	const malformed = "reset PROTOCOL_ERROR"
	const hidden = "GET /hidden HTTP/1.1\r\nHost: localhost\r\n\r\n"
	return []h2Attack{
		{"8.3.1", "a sound request", "200", with(), "abc", "POST /{me} [abc]"},
		{"8.1.1", "a length that fits", "200", with("content-length", "3"), "abc", "POST /{me} [abc]"},
		{"8.2.2", "a hidden request in the body", "200", with(), hidden, "POST /{me} [" + hidden + "]"},
		{"8.3.1", "a path with a blank", "400", of("GET", "localhost", "/{me} HTTP/1.1"), "", ""},
		{"8.3.1", "a path with a request", "400", of("GET", "localhost", "/{me} HTTP/1.1\r\nHost: localhost\r\n\r\n"+hidden), "", ""},
		{"8.3.1", "a path with a tab", "400", of("GET", "localhost", "/{me}\tx"), "", ""},
		{"8.3.1", "a path with a NUL", "400", of("GET", "localhost", "/{me}\x00"), "", ""},
		{"8.3.1", "a path with a bare LF", "400", of("GET", "localhost", "/{me}\nX: y"), "", ""},
		{"8.3.1", "a path without a slash", "400", of("GET", "localhost", "{me}"), "", ""},
		{"8.3.1", "an absolute path", "400", of("GET", "localhost", "http://localhost/{me}"), "", ""},
		{"8.3.1", "no path", malformed, of("GET", "localhost", ""), "", ""},
		{"8.3.1", "* for GET", "400", of("GET", "localhost", "*"), "", ""},
		{"8.3.1", "a method with a blank", "400", of("GET /hidden", "localhost", "/{me}"), "", ""},
		{"8.3.1", "a method with a request", "400", of("GET / HTTP/1.1\r\nHost: localhost\r\n\r\nGET", "localhost", "/{me}"), "", ""},
		{"8.3.1", "no method", malformed, of("", "localhost", "/{me}"), "", ""},
		{"8.5", "CONNECT", "501", []string{":method", "CONNECT", ":authority", "localhost:22"}, "", ""},
		{"8.5", "CONNECT with a path", malformed, of("CONNECT", "localhost", "/{me}"), "", ""},
		{"8.3.1", "an authority with a user", "400", of("GET", "user@localhost", "/{me}"), "", ""},
		{"8.3.1", "an authority with a path", "400", of("GET", "localhost/x", "/{me}"), "", ""},
		{"8.3.1", "an authority with a bad port", "400", of("GET", "localhost:80a", "/{me}"), "", ""},
		{"8.3.1", "an authority with a line end", "400", of("GET", "localhost\r\nX: y", "/{me}"), "", ""},
		{"8.3.1", "a Host that differs", malformed, with("host", "elsewhere.example"), "", ""},
		{"8.3.1", "two Hosts", malformed, with("host", "localhost", "host", "localhost"), "", ""},
		{"8.3.1", "two paths", malformed, with(":path", "/hidden"), "", ""},
		{"8.3", "two authorities", malformed, append([]string{":authority", "localhost"}, with()...), "", ""},
		{"8.3", "a pseudo-header field behind", malformed, with("x", "y", ":path", "/hidden"), "", ""},
		{"8.3", "a pseudo-header field that nobody knows", malformed, append([]string{":x", "y"}, with()...), "", ""},
		{"8.3", "a response's pseudo-header field", malformed, append([]string{":status", "200"}, with()...), "", ""},
		{"8.2.2", "a coding", malformed, with("transfer-encoding", "chunked"), "0\r\n\r\n" + hidden, ""},
		{"8.2.2", "a coding beside a length", malformed, with("content-length", "5", "transfer-encoding", "chunked"), "0\r\n\r\n", ""},
		{"8.2.2", "a Connection", malformed, with("connection", "x-forwarded-for"), "", ""},
		{"8.2.2", "a Keep-Alive", malformed, with("keep-alive", "1"), "", ""},
		{"8.2.2", "a Proxy-Connection", malformed, with("proxy-connection", "keep-alive"), "", ""},
		{"8.2.2", "an Upgrade to h2c", malformed, with("upgrade", "h2c"), "", ""},
		{"8.2.2", "TE other than trailers", malformed, with("te", "chunked"), "", ""},
		{"8.2.1", "a name in capitals", malformed, with("Transfer-Encoding", "chunked"), "", ""},
		{"8.2.1", "a name with a colon", malformed, with("transfer-encoding: chunked\r\nx", "y"), "", ""},
		{"8.2.1", "a name with a blank", malformed, with("transfer-encoding ", "chunked"), "", ""},
		{"8.2.1", "a name with a line end", malformed, with("x: y\r\ntransfer-encoding", "chunked"), "", ""},
		{"8.2.1", "a name of nothing", malformed, with("", "y"), "", ""},
		{"8.2.1", "a name that is not ASCII", malformed, with("x\u00e9", "y"), "", ""},
		{"8.2.1", "a value with a line end", malformed, with("x", "y\r\nTransfer-Encoding: chunked"), "", ""},
		{"8.2.1", "a value with a request", malformed, with("x", "y\r\n\r\n"+hidden), "", ""},
		{"8.2.1", "a value with a bare LF", malformed, with("x", "y\nz: 1"), "", ""},
		{"8.2.1", "a value with a bare CR", malformed, with("x", "y\rz: 1"), "", ""},
		{"8.2.1", "a value with a NUL", malformed, with("x", "y\x00"), "", ""},
		{"8.2.1", "a value with a blank before", malformed, with("x", " y"), "", ""},
		{"8.2.1", "a value with a tab behind", malformed, with("x", "y\t"), "", ""},
		{"8.1.1", "a length that is too small", malformed, with("content-length", "2"), "abc", ""},
		{"8.1.1", "a length that is too large", malformed, with("content-length", "4"), "abc", "POST /{me} …"},
		{"8.1.1", "a length of 0 and a body", malformed, with("content-length", "0"), hidden, "POST /{me} ?"},
		{"8.1.1", "a length and no body", malformed, with("content-length", "4"), "", ""},
		{"8.1.1", "two lengths", malformed, with("content-length", "3", "content-length", "4"), "abc", ""},
		{"8.1.1", "a length with a sign", malformed, with("content-length", "+3"), "abc", ""},
		{"8.1.1", "a length that is a list", malformed, with("content-length", "3, 3"), "abc", ""},
		{"8.1.1", "a length beyond 2^63", malformed, with("content-length", "9223372036854775808"), "abc", ""},
	}
}

// TestAttacksByHTTP2 sends what would become another request, or none at all,
// when it is written down as HTTP/1.1.
func TestAttacksByHTTP2(t *testing.T) {
	t.Parallel()
	rows := h2Attacks()
	for mode, flags := range map[string][]string{"streamed": nil, "buffered": buffered} {
		t.Run(mode, func(t *testing.T) {
			t.Parallel()
			target := startWitness(t)
			d, _ := startOpen(t, target.target(), flags...)
			stop := honestClients(t, d)
			shared := dialFrames(t, d)
			for i, a := range rows {
				me := fmt.Sprintf("r%d.example", i)
				head := make([]string, len(a.head))
				for j, text := range a.head {
					head[j] = strings.ReplaceAll(text, "{me}", me)
				}
				shared.head(i, a.body == "", head...)
				if a.body != "" {
					shared.WriteData(id(i), true, []byte(a.body))
				}
				if got := shared.fateOf(i); got != a.fate {
					t.Errorf("%s, %s: %s, want %s", a.section, a.name, got, a.fate)
				}
			}
			stop()
			d.stop()
			target.check(t)
			for i, a := range rows {
				b := attempt{name: a.name, section: a.section, reaches: a.reaches}
				b.compare(t, target, fmt.Sprintf("r%d.example", i), mode == "buffered")
			}
			for _, s := range target.of("/hidden ") {
				t.Errorf("the target saw a hidden request: %s", s)
			}
		})
	}
}

// TestUploadsThatBreakOffByHTTP2 has clients go within a body, of a length that was
// announced or not: to no target does it look whole.
func TestUploadsThatBreakOffByHTTP2(t *testing.T) {
	t.Parallel()
	ways := map[string]func(f *frames){
		"cancelled":           func(f *frames) { f.WriteRSTStream(1, http2.ErrCodeCancel) },
		"reset without error": func(f *frames) { f.WriteRSTStream(1, http2.ErrCodeNo) },
		"goodbye":             func(f *frames) { f.WriteGoAway(0, http2.ErrCodeNo, nil); f.Close() },
		"closed":              func(f *frames) { f.Close() },
		"socket closed":       func(f *frames) { f.NetConn().Close() },
		"a broken connection": func(f *frames) { f.WritePushPromise(http2.PushPromiseParam{StreamID: 1, PromiseID: 2}) },
		"a broken trailer":    func(f *frames) { f.head(0, true, "Upper", "case") },
		"an endless trailer":  func(f *frames) { f.head(0, false, "x", "y") },
		"a broken window":     func(f *frames) { f.WriteRawFrame(http2.FrameWindowUpdate, 0, 1, make([]byte, 4)) },
		"a frame cut":         func(f *frames) { f.Write([]byte{0, 0, 9, 0, 1, 0, 0, 0, 1, 'a'}); f.Close() },
	}
	for mode, flags := range map[string][]string{"streamed": nil, "buffered": buffered} {
		t.Run(mode, func(t *testing.T) {
			t.Parallel()
			target := startWitness(t)
			d, _ := startOpen(t, target.target(), flags...)
			for name, leave := range ways {
				for _, more := range [][]string{nil, {"content-length", "200000"}} {
					f := dialFrames(t, d)
					f.ask(0, false, "POST", "/"+strings.ReplaceAll(name, " ", "-"), more...)
					f.WriteData(1, false, make([]byte, 10000))
					if mode == "streamed" {
						eventually(t, "the body has begun to arrive", func() error { return target.begun() })
					}
					leave(f)
				}
			}
			d.stop()
			target.check(t)
			seen := target.of("POST /")
			for _, s := range seen {
				if !strings.HasSuffix(s, "…") || mode == "buffered" {
					t.Errorf("the target saw %.80q", s)
				}
			}
			if mode == "streamed" && len(seen) != 2*len(ways) {
				t.Errorf("the target saw %d uploads, want %d", len(seen), 2*len(ways))
			}
		})
	}
}
