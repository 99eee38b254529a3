package http1_test

import (
	"bytes"
	"errors"
	"io"
	"net"
	"strings"
	"testing"

	"kamal-proxy/transport/exchange"
	"kamal-proxy/transport/http1"
)

func TestResponseHeads(t *testing.T) {
	fields := exchange.Header{{Name: "A", Value: "1"}, {Name: "Content-Length", Value: "9"}, {Name: "connection", Value: "foo"}, {Name: "Upgrade", Value: "h2c"}}
	for name, c := range map[string]struct {
		head http1.ResponseHead
		want string
	}{
		"length":         {http1.ResponseHead{Status: 200, Length: 3, KeepAlive: true}, "HTTP/1.1 200 OK\r\nA: 1\r\nContent-Length: 3\r\n\r\n"},
		"chunked":        {http1.ResponseHead{Status: 200, Length: -1, KeepAlive: true}, "HTTP/1.1 200 OK\r\nA: 1\r\nTransfer-Encoding: chunked\r\n\r\n"},
		"close":          {http1.ResponseHead{Status: 200, Length: 0}, "HTTP/1.1 200 OK\r\nA: 1\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"},
		"HTTP/1.0":       {http1.ResponseHead{Status: 200, Length: -1, ToHTTP10: true}, "HTTP/1.1 200 OK\r\nA: 1\r\nConnection: close\r\n\r\n"},
		"HTTP/1.0, kept": {http1.ResponseHead{Status: 200, Length: 3, ToHTTP10: true, KeepAlive: true}, "HTTP/1.1 200 OK\r\nA: 1\r\nContent-Length: 3\r\nConnection: keep-alive\r\n\r\n"},
		"HEAD":           {http1.ResponseHead{Status: 200, NoBody: true, KeepAlive: true}, "HTTP/1.1 200 OK\r\nA: 1\r\nContent-Length: 9\r\n\r\n"},
		"304":            {http1.ResponseHead{Status: 304, KeepAlive: true}, "HTTP/1.1 304 Not Modified\r\nA: 1\r\nContent-Length: 9\r\n\r\n"},
		"204":            {http1.ResponseHead{Status: 204, KeepAlive: true}, "HTTP/1.1 204 No Content\r\nA: 1\r\n\r\n"},
		"103":            {http1.ResponseHead{Status: 103}, "HTTP/1.1 103 Early Hints\r\nA: 1\r\n\r\n"},
		"101":            {http1.ResponseHead{Status: 101, Upgrade: "websocket"}, "HTTP/1.1 101 Switching Protocols\r\nA: 1\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n"},
		"unknown status": {http1.ResponseHead{Status: 799, KeepAlive: true}, "HTTP/1.1 799 \r\nA: 1\r\nContent-Length: 0\r\n\r\n"},
	} {
		c.head.Header = fields
		got, err := http1.AppendResponse(nil, &c.head)
		if err != nil || string(got) != c.want {
			t.Errorf("%s: got %q, %v\nwant %q", name, got, err, c.want)
		}
	}
}

// What a Writer writes, a Reader reads: by way of a socket and of a plain
// writer, with parts that are held back and parts that are not.
func TestWrittenBodiesAreRead(t *testing.T) {
	trailer := exchange.Header{{Name: "X-T", Value: "u"}, {Name: "Content-Length", Value: "1"}, {Name: "te", Value: "x"}}
	for _, part := range []int{1, 100, 8000, 8192, 100_000} {
		for _, length := range []int64{int64(3 * part), -1} {
			whole := strings.Repeat("0123456789", part)[:3*part]
			write := func(dst io.Writer) {
				w := http1.NewWriter(dst)
				if err := w.WriteResponse(&http1.ResponseHead{Status: 200, Length: length, KeepAlive: true}); err != nil {
					t.Error(err)
				}
				for i := range 3 {
					if n, err := w.Write([]byte(whole[i*part : (i+1)*part])); n != part || err != nil {
						t.Errorf("Write: %d, %v", n, err)
					}
				}
				if err := w.End(trailer); err != nil || w.Buffered() != 0 {
					t.Errorf("End: %v, %d left", err, w.Buffered())
				}
				w.Release()
			}
			var plain bytes.Buffer
			write(&plain)
			for way, src := range map[string]io.Reader{"plain": &plain, "socket": overSocket(t, write)} {
				var res exchange.Response
				if err := http1.NewReader(src, http1.Limits{}).ReadResponse("GET", &res); err != nil {
					t.Fatal(err)
				}
				body, err := io.ReadAll(res.Body)
				wantTrailer := ""
				if length < 0 {
					wantTrailer = "X-T: u\n"
				}
				if string(body) != whole || err != nil || res.ContentLength != length || lines(res.Trailer()) != wantTrailer {
					t.Errorf("%s, 3 parts of %d, length %d: %d bytes, %v, trailer %q", way, part, length, len(body), err, lines(res.Trailer()))
				}
			}
		}
	}
}

// overSocket returns what write wrote to a TCP connection.
func overSocket(t *testing.T, write func(io.Writer)) io.Reader {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	go func() {
		c, err := net.Dial("tcp", l.Addr().String())
		if err != nil {
			t.Error(err)
			return
		}
		defer c.Close()
		write(c)
		// A kernel that is short of memory resets what is closed before it has arrived.
		c.(*net.TCPConn).CloseWrite()
		io.Copy(io.Discard, c)
	}()
	c, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

func TestSmallResponseIsOneWrite(t *testing.T) {
	var dst counting
	w := http1.NewWriter(&dst)
	w.WriteResponse(&http1.ResponseHead{Status: 200, Length: -1, KeepAlive: true})
	w.Write([]byte("hello"))
	if err := w.End(nil); err != nil || dst != 1 {
		t.Errorf("%d writes, %v", dst, err)
	}
}

type counting int

func (c *counting) Write(p []byte) (int, error) {
	*c++
	return len(p), nil
}

func TestBodiesOfTheWrongLength(t *testing.T) {
	w := http1.NewWriter(io.Discard)
	w.WriteResponse(&http1.ResponseHead{Status: 200, Length: 3, KeepAlive: true})
	if _, err := w.Write([]byte("abcd")); err != http1.ErrBodyLength {
		t.Errorf("too much: %v", err)
	}
	w.Write([]byte("ab"))
	if err := w.End(nil); err != http1.ErrBodyLength {
		t.Errorf("too little: %v", err)
	}
}

func TestHeadsThatCannotBeWritten(t *testing.T) {
	for _, f := range []exchange.Field{{Name: "A", Value: "b\r\nC: d"}, {Name: "A B", Value: ""}, {Name: "", Value: "x"}, {Name: "A", Value: "\x00"}} {
		var dst bytes.Buffer
		w := http1.NewWriter(&dst)
		var refused *http1.Error
		if err := w.WriteResponse(&http1.ResponseHead{Status: 200, Header: exchange.Header{f}}); !errors.As(err, &refused) {
			t.Errorf("%q: %v", f, err)
		}
		w.WriteResponse(&http1.ResponseHead{Status: 500, KeepAlive: true})
		w.End(nil)
		if got := dst.String(); got != "HTTP/1.1 500 Internal Server Error\r\nContent-Length: 0\r\n\r\n" {
			t.Errorf("%q: afterwards %q was written", f, got)
		}
	}
}

// again gives the same bytes over and over.
type again struct {
	message string
	at      int
}

func (a *again) Read(p []byte) (int, error) {
	n := copy(p, a.message[a.at:])
	a.at = (a.at + n) % len(a.message)
	return n, nil
}

const requestMessage = "POST /a/path?with=query HTTP/1.1\r\nHost: app.example.com\r\nUser-Agent: Mozilla/5.0 (X11; Linux x86_64)\r\n" +
	"Accept: text/html,application/xhtml+xml\r\nAccept-Encoding: gzip, br\r\nCookie: session=0123456789abcdef0123456789abcdef\r\n" +
	"Connection: keep-alive\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\nX-T: u\r\n\r\n"

const responseMessage = "HTTP/1.1 200 OK\r\nContent-Type: text/html; charset=utf-8\r\nDate: Mon, 02 Jan 2006 15:04:05 GMT\r\n" +
	"Set-Cookie: session=0123456789abcdef\r\nContent-Length: 5\r\n\r\nhello"

// serve is what a server does for a request, and a client for its part.
func serve(in, answer *http1.Reader, out *http1.Writer, req *exchange.Request, res *exchange.Response, head *http1.ResponseHead, buf []byte) error {
	if err := in.ReadRequest(req); err != nil {
		return err
	}
	if err := out.WriteRequest(req); err != nil {
		return err
	}
	for {
		n, err := req.Body.Read(buf)
		out.Write(buf[:n])
		if err != nil {
			break
		}
	}
	out.End(req.Trailer())
	if err := answer.ReadResponse(req.Method, res); err != nil {
		return err
	}
	*head = http1.ResponseHead{Status: res.Status, Header: res.Header, Length: res.ContentLength, KeepAlive: true}
	if err := out.WriteResponse(head); err != nil {
		return err
	}
	n, _ := res.Body.Read(buf)
	out.Write(buf[:n])
	return out.End(nil)
}

func serving() (step func() error) {
	in, answer := http1.NewReader(&again{message: requestMessage}, http1.Limits{}), http1.NewReader(&again{message: responseMessage}, http1.Limits{})
	out, buf := http1.NewWriter(io.Discard), make([]byte, 4096)
	var req exchange.Request
	var res exchange.Response
	var head http1.ResponseHead
	return func() error { return serve(in, answer, out, &req, &res, &head, buf) }
}

func TestNothingIsAllocated(t *testing.T) {
	step := serving()
	var failed error
	got := testing.AllocsPerRun(1000, func() {
		if err := step(); err != nil {
			failed = err
		}
	})
	if failed != nil || got >= 1 {
		t.Errorf("%v allocations a request, %v", got, failed)
	}
}

func BenchmarkRequestAndResponse(b *testing.B) {
	step := serving()
	b.ReportAllocs()
	for b.Loop() {
		if err := step(); err != nil {
			b.Fatal(err)
		}
	}
}

func TestALengthThatStandsForNoBodyIsSaidOnce(t *testing.T) {
	for name, head := range map[string]http1.ResponseHead{"HEAD": {Status: 200, NoBody: true}, "304": {Status: 304}} {
		head.Header = exchange.Header{{Name: "Content-Length", Value: "3"}, {Name: "X", Value: "y"}, {Name: "content-length", Value: "3"}}
		text, err := http1.AppendResponse(nil, &head)
		if n := strings.Count(strings.ToLower(string(text)), "content-length: 3\r\n"); n != 1 || err != nil {
			t.Errorf("%s: %q, %v, want one length", name, text, err)
		}
	}
}
