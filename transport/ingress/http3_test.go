package ingress

import (
	"bytes"
	"context"
	"crypto/sha256"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptrace"
	"net/textproto"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/quic-go/quic-go/http3"
	"github.com/rs/zerolog"

	"kamal-proxy/transport/exchange"
	"kamal-proxy/transport/quicport"
)

// site3 is an HTTP/3 server under test.
type site3 struct {
	*HTTP3
	addr string
	log  *lockedBuffer
}

// start3 serves HTTP/3 on a free port until the test ends.
func start3(t testing.TB, config Config) *site3 {
	t.Helper()
	conn, err := net.ListenUDP("udp", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	log := &lockedBuffer{}
	config.Log = zerolog.New(log).Level(zerolog.DebugLevel)
	config.TLS = tlsConfig(func(hello *tls.ClientHelloInfo) (*tls.Certificate, error) {
		if hello.ServerName != "example.com" {
			return nil, errNoCertificate
		}
		c := certificate()
		return &c, nil
	})
	h := NewHTTP3(config)
	served := make(chan error, 1)
	go func() { served <- h.Serve(quicport.New(conn, 0, quicport.NewKey(), nil)) }()
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 100*time.Millisecond)
		defer cancel()
		h.Shutdown(ctx)
		if err := <-served; err != nil {
			t.Error(err)
		}
	})
	return &site3{h, conn.LocalAddr().String(), log}
}

func clientTLS(name string) *tls.Config {
	return &tls.Config{InsecureSkipVerify: true, ServerName: name, NextProtos: []string{http3.NextProtoH3}}
}

// serve3 serves handler over HTTP/3 and gives a client for it.
func serve3(t testing.TB, handler Handler) (*site3, *http.Client) {
	t.Helper()
	s := start3(t, Config{Handler: handler})
	return s, client3(t)
}

func client3(t testing.TB) *http.Client {
	transport := &http3.Transport{TLSClientConfig: clientTLS("example.com"), DisableCompression: true}
	t.Cleanup(func() { transport.Close() })
	return &http.Client{Transport: transport, Timeout: patience}
}

// fetch3 makes a request over HTTP/3 and reads its answer.
func fetch3(web *http.Client, r *http.Request) (*http.Response, string, error) {
	response, err := web.Do(r)
	if err != nil {
		return nil, "", err
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	return response, string(body), err
}

func TestHTTP3(t *testing.T) {
	type got struct {
		request exchange.Request
		header  exchange.Header
		body    string
		trailer exchange.Header
	}
	requests := make(chan got, 1)
	s, web := serve3(t, func(e exchange.Exchange) {
		body, _ := io.ReadAll(e.Request().Body)
		requests <- got{*e.Request(), append(exchange.Header(nil), e.Request().Header...), string(body), e.Request().Trailer()}
		e.Inform(103, fields("Link", "</a>"))
		e.Respond(203, fields("X-Sum", "of the head", "Trailer", "X-Sum", "Etag", "x", "Connection", "close", "Set-Cookie", "a=1", "Set-Cookie", "b=2"), -1)
		e.Write([]byte("body"))
		e.Trail(fields("X-Sum", "4", "Content-Length", "9"))
	})
	r := request(t, "POST", "https://"+s.addr+"/a;b//%2F?q=c;d", io.MultiReader(strings.NewReader("ab"), strings.NewReader("c")))
	r.Host = "example.com"
	r.Trailer = http.Header{"X-T": {"t"}}
	var link string
	r = r.WithContext(httptrace.WithClientTrace(r.Context(), &httptrace.ClientTrace{
		Got1xxResponse: func(code int, h textproto.MIMEHeader) error { link = h.Get("Link"); return nil },
	}))
	response, body, err := fetch3(web, r)
	if err != nil {
		t.Fatal(err)
	}
	if link != "</a>" || response.Header.Get("Link") != "" {
		t.Errorf("early link %q, final %q", link, response.Header.Get("Link"))
	}
	if response.StatusCode != 203 || body != "body" || response.ProtoMajor != 3 || response.Header.Get("X-Sum") != "of the head" {
		t.Errorf("got %d %q, %v", response.StatusCode, body, response.Header)
	}
	if len(response.Trailer["X-Sum"]) != 1 || response.Trailer.Get("X-Sum") != "4" || len(response.Trailer) != 1 {
		t.Errorf("trailer %v", response.Trailer)
	}
	if cookies := response.Header["Set-Cookie"]; len(cookies) != 2 || cookies[0] != "a=1" || cookies[1] != "b=2" {
		t.Errorf("cookies %q", cookies)
	}
	for _, name := range []string{"Content-Type", "Content-Length", "Connection", fieldAltSvc} {
		if _, ok := response.Header[name]; ok {
			t.Errorf("%s was invented: %v", name, response.Header)
		}
	}
	if response.Header.Get("Date") == "" {
		t.Error("no Date")
	}
	g := receive(t, requests)
	_, port, _ := net.SplitHostPort(s.addr)
	if g.request.Target != "/a;b//%2F?q=c;d" || g.request.Authority != "example.com" || g.request.Proto != "HTTP/3.0" ||
		g.request.Scheme != "https" || g.request.ContentLength != -1 || g.body != "abc" || g.trailer.Get("X-T") != "t" {
		t.Errorf("request %+v", g)
	}
	if g.request.Client.Addr().String() != "127.0.0.1" || g.request.Client.Port() == 0 || itoa(g.request.Port) != port {
		t.Errorf("from %s to %d, want a port of 127.0.0.1, and %s", g.request.Client, g.request.Port, port)
	}
	if g.header.Get("Trailer") != "X-T" || g.header.Has("Host") {
		t.Errorf("header %v", g.header)
	}
}

func TestHTTP3Lengths(t *testing.T) {
	for name, c := range map[string]struct {
		method string
		status int
		header exchange.Header
		length int64
		want   string
	}{
		"HEAD":              {"HEAD", 200, fields("Content-Length", "5"), 0, "5"},
		"HEAD without":      {"HEAD", 200, nil, 0, ""},
		"304":               {"GET", 304, fields("Content-Length", "5"), 0, ""},
		"204":               {"GET", 204, nil, 0, ""},
		"GET":               {"GET", 200, nil, 3, "3"},
		"GET of any length": {"GET", 200, nil, -1, ""},
		"POST":              {"POST", 200, nil, 3, "3"},
	} {
		t.Run(name, func(t *testing.T) {
			s, web := serve3(t, func(e exchange.Exchange) {
				if n := e.Request().ContentLength; n != 0 && e.Request().Method != "POST" {
					t.Errorf("the request's length is %d", n)
				}
				e.Respond(c.status, c.header, c.length)
				e.Write([]byte("abc"))
			})
			response, _, err := fetch3(web, request(t, c.method, "https://"+s.addr, nil))
			if err != nil || response.StatusCode != c.status || response.Header.Get("Content-Length") != c.want {
				t.Errorf("%v, %v, want length %q", response, err, c.want)
			}
		})
	}
}

// unsized hides how long a body is.
type unsized struct{ io.Reader }

func TestHTTP3BodyOfAnyMethod(t *testing.T) {
	bodies := make(chan string, 1)
	lengths := make(chan int64, 1)
	s, web := serve3(t, func(e exchange.Exchange) {
		body, err := io.ReadAll(e.Request().Body)
		if err != nil {
			t.Error(err)
		}
		bodies <- string(body)
		lengths <- e.Request().ContentLength
		ok(e)
	})
	for _, c := range []struct {
		method, body string
		unsized      bool
		length       int64
	}{{"GET", "abc", true, -1}, {"DELETE", "abc", false, 3}, {"POST", "abc", false, 3}, {"PUT", "abc", true, -1}} {
		var body io.Reader = strings.NewReader(c.body)
		if c.unsized {
			body = unsized{body}
		}
		if _, _, err := fetch3(web, request(t, c.method, "https://"+s.addr, body)); err != nil {
			t.Fatal(err)
		}
		if body, n := receive(t, bodies), receive(t, lengths); body != c.body || n != c.length {
			t.Errorf("%s: %q of %d, want %q of %d", c.method, body, n, c.body, c.length)
		}
	}
}

func TestHTTP3CarriesLargeBodies(t *testing.T) {
	large := bytes.Repeat([]byte("0123456789abcdef"), 10<<16) // 10 MiB
	want := sha256.Sum256(large)
	s, web := serve3(t, func(e exchange.Exchange) {
		sum := sha256.New()
		n, err := io.Copy(sum, e.Request().Body)
		if err != nil || n != int64(len(large)) || !bytes.Equal(sum.Sum(nil), want[:]) {
			t.Errorf("%d bytes came, %v", n, err)
		}
		e.Respond(200, nil, n)
		e.Write(large)
	})
	_, body, err := fetch3(web, request(t, "POST", "https://"+s.addr, bytes.NewReader(large)))
	if err != nil || sha256.Sum256([]byte(body)) != want {
		t.Errorf("%d bytes came back, %v", len(body), err)
	}
}

func TestHTTP3EarlyAnswerArrivesWhole(t *testing.T) {
	s, web := serve3(t, func(e exchange.Exchange) {
		e.Request().Body.(io.Closer).Close()
		ok(e)
	})
	for range 20 {
		_, body, err := fetch3(web, request(t, "POST", "https://"+s.addr, bytes.NewReader(make([]byte, 1<<20))))
		if body != "ok" || err != nil {
			t.Fatalf("got %q, %v", body, err)
		}
	}
}

func TestHTTP3ClosingTheBodyUnblocksItsReader(t *testing.T) {
	s, web := serve3(t, func(e exchange.Exchange) {
		body := e.Request().Body
		read := make(chan error, 1)
		go func() { _, err := io.ReadAll(body); read <- err }()
		body.(io.Closer).Close()
		if receive(t, read) == nil {
			t.Error("the body has ended")
		}
		ok(e)
	})
	body, end := io.Pipe()
	defer end.Close()
	if _, answer, err := fetch3(web, request(t, "POST", "https://"+s.addr, body)); answer != "ok" || err != nil {
		t.Errorf("got %q, %v", answer, err)
	}
}

func TestHTTP3StalledBody(t *testing.T) {
	failed := make(chan error, 1)
	s := start3(t, Config{BodyStall: 50 * time.Millisecond, Handler: func(e exchange.Exchange) {
		_, err := io.ReadAll(e.Request().Body)
		failed <- err
		ok(e)
	}})
	body, end := io.Pipe()
	defer end.Close()
	go end.Write([]byte("x"))
	if _, _, err := fetch3(client3(t), request(t, "POST", "https://"+s.addr, body)); err != nil {
		t.Error(err)
	}
	if err := receive(t, failed); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("got %v", err)
	}
}

func TestHTTP3ContinueIsSentWhenTheBodyIsRead(t *testing.T) {
	s, web := serve3(t, func(e exchange.Exchange) {
		if e.Request().Path == "/read" {
			io.Copy(io.Discard, e.Request().Body)
		}
		ok(e)
	})
	for path, want := range map[string]int{"/read": 1, "/refuse": 0} {
		got := 0
		r := request(t, "POST", "https://"+s.addr+path, strings.NewReader("abc"))
		r.Header.Set("Expect", "100-continue")
		r = r.WithContext(httptrace.WithClientTrace(r.Context(), &httptrace.ClientTrace{
			Got1xxResponse: func(int, textproto.MIMEHeader) error { got++; return nil },
		}))
		if _, body, err := fetch3(web, r); err != nil || body != "ok" || got != want {
			t.Errorf("%s: %q, %v, %d interim responses, want %d", path, body, err, got, want)
		}
	}
}

func TestHTTP3ClientGone(t *testing.T) {
	type end struct{ context, read, respond error }
	begun, gone := make(chan struct{}, 1), make(chan end, 1)
	s, web := serve3(t, func(e exchange.Exchange) {
		begun <- struct{}{}
		_, err := io.ReadAll(e.Request().Body)
		<-e.Context().Done()
		gone <- end{context.Cause(e.Context()), err, e.Respond(200, nil, 0)}
	})
	ctx, cancel := context.WithCancel(t.Context())
	body, stop := io.Pipe()
	defer stop.Close()
	answered := make(chan error, 1)
	go func() {
		_, _, err := fetch3(web, request(t, "POST", "https://"+s.addr, body).WithContext(ctx))
		answered <- err
	}()
	receive(t, begun)
	cancel()
	if g := receive(t, gone); g.context == nil || g.respond == nil || !errors.Is(g.read, io.ErrUnexpectedEOF) {
		t.Errorf("got %+v", g)
	}
	if receive(t, answered) == nil {
		t.Error("the client was answered")
	}
}
