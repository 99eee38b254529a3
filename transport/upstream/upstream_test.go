package upstream_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"syscall"
	"testing"
	"time"

	"kamal-proxy/transport/calm"
	"kamal-proxy/transport/exchange"
	"kamal-proxy/transport/http1"
	"kamal-proxy/transport/upstream"
)

// listen runs serve for each connection to the returned address. Each
// connection is closed when serve returns.
func listen(t testing.TB, serve func(n int, c *peer)) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go func() {
		for n := 1; ; n++ {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer c.Close()
				serve(n, &peer{c.(*net.TCPConn), bufio.NewReader(c)})
			}()
		}
	}()
	return l.Addr().String()
}

// peer is a target's side of a connection.
type peer struct {
	*net.TCPConn
	in *bufio.Reader
}

// head reads a request's head and returns it, or "" at the end.
func (p *peer) head() string {
	var head strings.Builder
	for {
		line, err := p.in.ReadString('\n')
		if err != nil {
			return ""
		}
		head.WriteString(line)
		if line == "\r\n" {
			return head.String()
		}
	}
}

func (p *peer) body(n int) string {
	b := make([]byte, n)
	if _, err := io.ReadFull(p.in, b); err != nil {
		return "error: " + err.Error()
	}
	return string(b)
}

func (p *peer) say(text string) { io.WriteString(p, text) }

func target(t testing.TB, o upstream.Options) *upstream.Target {
	u := upstream.New(o)
	t.Cleanup(u.Close)
	return u
}

func get(path string) *exchange.Request {
	return &exchange.Request{Method: "GET", Target: path, Authority: "app.test", Body: strings.NewReader("")}
}

func post(body string) *exchange.Request {
	r := get("/")
	r.Method, r.Body, r.ContentLength = "POST", strings.NewReader(body), int64(len(body))
	return r
}

func chunkedPost(body io.Reader) *exchange.Request {
	r := get("/")
	r.Method, r.Body, r.ContentLength = "POST", body, -1
	return r
}

// send sends r and reads the response to its end.
func send(t testing.TB, u *upstream.Target, r *exchange.Request) (status int, body string) {
	t.Helper()
	res, err := u.Send(context.Background(), r, nil)
	if err != nil {
		t.Fatalf("Send: %v", err)
	}
	defer res.Close()
	b, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatalf("reading the body: %v", err)
	}
	return res.Status, string(b)
}

func fails(t testing.TB, u *upstream.Target, r *exchange.Request, want error) {
	t.Helper()
	res, err := u.Send(context.Background(), r, nil)
	if err == nil {
		res.Close()
	}
	if !errors.Is(err, want) {
		t.Fatalf("got error %v, want %v", err, want)
	}
}

func TestSendWritesTheRequestAndReadsTheResponse(t *testing.T) {
	heads := make(chan string, 1)
	address := listen(t, func(_ int, p *peer) {
		heads <- p.head()
		p.say("HTTP/1.1 201 Created\r\nX-One: 1\r\nContent-Length: 5\r\n\r\nhello")
	})
	r := get("/a%2Fb?x;y")
	r.Header = exchange.Header{{Name: "accept", Value: "*/*"}, {Name: "Content-Length", Value: "7"}, {Name: "X-B", Value: "é"}}
	res, err := target(t, upstream.Options{Address: address}).Send(context.Background(), r, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Close()
	want := "GET /a%2Fb?x;y HTTP/1.1\r\nHost: app.test\r\naccept: */*\r\nX-B: é\r\n\r\n"
	if got := <-heads; got != want {
		t.Errorf("the target got\n%q, want\n%q", got, want)
	}
	body, err := io.ReadAll(res.Body)
	if res.Status != 201 || res.ContentLength != 5 || res.Header.Get("x-one") != "1" || string(body) != "hello" || err != nil {
		t.Errorf("got %d, %d, %v, %q, %v", res.Status, res.ContentLength, res.Header, body, err)
	}
}

func TestRequestFraming(t *testing.T) {
	for _, c := range []struct {
		name   string
		r      *exchange.Request
		header string
		body   string
	}{
		{"no body", get("/"), "", ""},
		{"empty POST", post(""), "Content-Length: 0\r\n", ""},
		{"POST", post("abc"), "Content-Length: 3\r\n", "abc"},
		{"chunked", chunkedPost(strings.NewReader("abc")), "Transfer-Encoding: chunked\r\n", "3\r\nabc\r\n0\r\n\r\n"},
		{"chunked, empty", chunkedPost(strings.NewReader("")), "Transfer-Encoding: chunked\r\n", "0\r\n\r\n"},
		{"upgrade", func() *exchange.Request { r := get("/"); r.Upgrade = "websocket"; return r }(), "Connection: Upgrade\r\nUpgrade: websocket\r\n", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			got := make(chan string, 1)
			address := listen(t, func(_ int, p *peer) {
				got <- p.head() + p.body(len(c.body))
				p.say("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
			})
			send(t, target(t, upstream.Options{Address: address}), c.r)
			want := c.r.Method + " / HTTP/1.1\r\nHost: app.test\r\n" + c.header + "\r\n" + c.body
			if g := <-got; g != want {
				t.Errorf("got %q, want %q", g, want)
			}
		})
	}
}

func TestTrailersGoBothWays(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		io.Copy(io.Discard, r.Body)
		w.Header().Set("Trailer", "X-Sum")
		w.WriteHeader(200)
		w.Header().Set("X-Sum", "got "+r.Trailer.Get("X-Check"))
	}))
	defer server.Close()
	r := chunkedPost(strings.NewReader(strings.Repeat("x", 200_000)))
	r.Header.Add("Trailer", "X-Check")
	r.Trailer = func() exchange.Header { return exchange.Header{{Name: "X-Check", Value: "7"}} }
	res, err := target(t, upstream.Options{Address: server.Listener.Addr().String()}).Send(context.Background(), r, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Close()
	io.Copy(io.Discard, res.Body)
	if got := res.Trailer().Get("X-Sum"); got != "got 7" {
		t.Errorf("the trailer is %q", got)
	}
}

func TestResponseBodies(t *testing.T) {
	for _, c := range []struct {
		name, method, response string
		length                 int64
		body                   string
		err                    error
	}{
		{"length", "GET", "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabc", 3, "abc", nil},
		{"chunked", "GET", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n2;x=y\r\nbc\r\n0\r\n\r\n", -1, "abc", nil},
		{"until close", "GET", "HTTP/1.1 200 OK\r\n\r\nabc", -1, "abc", nil},
		{"HTTP/1.0", "GET", "HTTP/1.0 200 OK\r\n\r\nabc", -1, "abc", nil},
		{"HEAD", "HEAD", "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\n", 0, "", nil},
		{"304", "GET", "HTTP/1.1 304 Not Modified\r\nContent-Length: 3\r\n\r\n", 0, "", nil},
		{"204", "GET", "HTTP/1.1 204 No Content\r\n\r\n", 0, "", nil},
		{"cut short", "GET", "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nabc", 9, "abc", io.ErrUnexpectedEOF},
		{"chunks cut short", "GET", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n9\r\nabc", -1, "abc", io.ErrUnexpectedEOF},
		{"last chunk missing", "GET", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n", -1, "abc", io.ErrUnexpectedEOF},
		{"bad chunk", "GET", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nx\r\n", -1, "", http1.ErrMalformedResponse},
	} {
		t.Run(c.name, func(t *testing.T) {
			address := listen(t, func(_ int, p *peer) {
				p.head()
				p.say(c.response)
			})
			r := get("/")
			r.Method = c.method
			res, err := target(t, upstream.Options{Address: address}).Send(context.Background(), r, nil)
			if err != nil {
				t.Fatal(err)
			}
			defer res.Close()
			body, err := io.ReadAll(res.Body)
			if res.ContentLength != c.length || string(body) != c.body || !errors.Is(err, c.err) {
				t.Errorf("got length %d, body %q, error %v", res.ContentLength, body, err)
			}
			if err != nil && !strings.Contains(err.Error(), address) {
				t.Errorf("the error does not name the target: %v", err)
			}
		})
	}
}

func TestBadResponsesAreRefused(t *testing.T) {
	for name, response := range map[string]string{
		"CL and TE":       "HTTP/1.1 200 OK\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n",
		"two lengths":     "HTTP/1.1 200 OK\r\nContent-Length: 3\r\nContent-Length: 4\r\n\r\n",
		"bare LF":         "HTTP/1.1 200 OK\nContent-Length: 3\r\n\r\n",
		"no HTTP":         "SSH-2.0-OpenSSH\r\n\r\n",
		"bad status":      "HTTP/1.1 2000 OK\r\n\r\n",
		"unasked 101":     "HTTP/1.1 101 Switching Protocols\r\n\r\n",
		"flood of 1xx":    strings.Repeat("HTTP/1.1 102 Processing\r\n\r\n", 200),
		"endless header":  "HTTP/1.1 200 OK\r\nX: " + strings.Repeat("x", 300<<10),
		"unknown coding":  "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n",
		"TE in HTTP/1.0":  "HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
		"control in name": "HTTP/1.1 200 OK\r\nX\x00: 1\r\n\r\n",
	} {
		t.Run(name, func(t *testing.T) {
			address := listen(t, func(_ int, p *peer) {
				p.head()
				p.say(response)
				p.head()
			})
			fails(t, target(t, upstream.Options{Address: address, ResponseTimeout: patience}), get("/"), http1.ErrMalformedResponse)
		})
	}
}

func TestBrokenConnections(t *testing.T) {
	for name, response := range map[string]string{"nothing": "", "half a head": "HTTP/1.1 200 OK\r\nX: y\r\n"} {
		t.Run(name, func(t *testing.T) {
			address := listen(t, func(_ int, p *peer) {
				p.head()
				p.say(response)
			})
			fails(t, target(t, upstream.Options{Address: address}), get("/"), upstream.ErrBroken)
		})
	}
}

func TestRefusedConnectionIsUnreachable(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	l.Close()
	u := target(t, upstream.Options{Address: l.Addr().String()})
	fails(t, u, get("/"), upstream.ErrUnreachable)
	want := "unable to connect to " + l.Addr().String() + ": the target cannot be reached: connect: connection refused"
	if _, err := u.Send(context.Background(), get("/"), nil); err == nil || err.Error() != want || !errors.Is(err, syscall.ECONNREFUSED) {
		t.Errorf("got %v, want %s", err, want)
	}
}

func TestConnectingCountsForTheResponseTimeout(t *testing.T) {
	fails(t, target(t, upstream.Options{ResponseTimeout: 20 * time.Millisecond, DialContext: waitForEnd}), get("/"), upstream.ErrTimeout)
	fails(t, target(t, upstream.Options{DialTimeout: 20 * time.Millisecond, DialContext: waitForEnd}), get("/"), upstream.ErrUnreachable)
}

func TestResponseTimeoutEndsWithTheHead(t *testing.T) {
	calm.Try(t, func(t testing.TB, unit time.Duration) {
		release := make(chan bool)
		address := listen(t, func(_ int, p *peer) {
			if !strings.HasPrefix(p.head(), "GET /slow-head") {
				p.say("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\na")
				<-release
				p.say("b")
				return
			}
			p.say("HTTP/1.1 103 Early Hints\r\n\r\nHTTP/1.1 200 O")
			<-release
		})
		u := target(t, upstream.Options{Address: address, ResponseTimeout: 2 * unit})
		fails(t, u, get("/slow-head"), upstream.ErrTimeout)
		time.AfterFunc(5*unit, func() { close(release) })
		if _, body := send(t, u, get("/slow-body")); body != "ab" {
			t.Errorf("got %q", body)
		}
	})
}

func TestInterimResponsesAreHandedOn(t *testing.T) {
	address := listen(t, func(_ int, p *peer) {
		p.head()
		p.say("HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 102 Processing\r\n\r\nHTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n")
	})
	u := target(t, upstream.Options{Address: address})
	var seen []string
	res, err := u.Send(context.Background(), get("/"), func(status int, h exchange.Header) error {
		seen = append(seen, fmt.Sprint(status, h.Get("Link")))
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	res.Close()
	if got := strings.Join(seen, " "); got != "103</a> 102" || res.Status != 404 || res.Header.Has("Link") {
		t.Errorf("got %s, %d, %v", got, res.Status, res.Header)
	}
	gone := errors.New("the client is gone")
	if _, err := u.Send(context.Background(), get("/"), func(int, exchange.Header) error { return gone }); !errors.Is(err, gone) {
		t.Errorf("the error of interim is lost: %v", err)
	}
}

func TestHeadsThatCannotBeSentAreRefused(t *testing.T) {
	u := target(t, upstream.Options{Address: "127.0.0.1:1"})
	for _, r := range []*exchange.Request{
		get("/a b"), get("/\r\nX: y"), {Method: "G T", Target: "/"}, {Method: "GET", Target: "/", Authority: "a\r\nb"},
		{Method: "GET", Target: "/", Header: exchange.Header{{Name: "X", Value: "a\nb"}}},
		{Method: "GET", Target: "/", Header: exchange.Header{{Name: "X:", Value: "a"}}},
	} {
		var refused *http1.Error
		if _, err := u.Send(context.Background(), r, nil); !errors.As(err, &refused) || refused.Status != 400 {
			t.Errorf("%q: got %v", r.Target, err)
		}
	}
}

func TestTunnel(t *testing.T) {
	address := listen(t, func(_ int, p *peer) {
		p.head()
		p.say("HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\nearly ")
		io.Copy(p, p.in)
		p.say(" end")
	})
	ctx, cancel := context.WithCancel(context.Background())
	r := get("/")
	r.Upgrade = "echo"
	res, err := target(t, upstream.Options{Address: address, ResponseTimeout: patience}).Send(ctx, r, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Close()
	cancel() // the tunnel is its owner's
	io.WriteString(res.Tunnel, "hello")
	res.Tunnel.CloseWrite()
	got, err := io.ReadAll(res.Tunnel)
	if string(got) != "early hello end" || err != nil || res.Header.Get("Upgrade") != "echo" {
		t.Errorf("got %q, %v, %v", got, err, res.Header)
	}
}

func waitForEnd(ctx context.Context, _, _ string) (net.Conn, error) {
	<-ctx.Done()
	return nil, ctx.Err()
}
