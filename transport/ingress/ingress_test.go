package ingress

import (
	"bufio"
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"io"
	"math/big"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"kamal-proxy/transport/exchange"
)

// patience is how long a test waits for what must happen.
const patience = 30 * time.Second

// site is a server under test.
type site struct {
	*Server
	addr string
	log  *lockedBuffer
}

// start serves handler on a free port until the test ends.
func start(t testing.TB, config Config) *site {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	log := &lockedBuffer{}
	config.Log = zerolog.New(log).Level(zerolog.DebugLevel)
	s := NewServer(config)
	served := make(chan error, 1)
	go func() { served <- s.Serve(listener) }()
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 100*time.Millisecond)
		defer cancel()
		s.Shutdown(ctx)
		if err := <-served; err != nil {
			t.Error(err)
		}
	})
	return &site{s, listener.Addr().String(), log}
}

func serve(t testing.TB, handler Handler) *site { return start(t, Config{Handler: handler}) }

// client is a raw connection.
type client struct {
	testing.TB
	net.Conn
	*bufio.Reader
}

func (s *site) dial(t testing.TB) *client {
	t.Helper()
	conn, err := net.Dial("tcp", s.addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	conn.SetDeadline(time.Now().Add(patience))
	return &client{t, conn, bufio.NewReader(conn)}
}

func (c *client) Read(p []byte) (int, error) { return c.Reader.Read(p) }

func (c *client) send(text string) {
	c.Helper()
	if _, err := io.WriteString(c.Conn, text); err != nil {
		c.Fatal(err)
	}
}

// head reads up to and with the next empty line.
func (c *client) head() string {
	c.Helper()
	var head strings.Builder
	for {
		line, err := c.ReadString('\n')
		head.WriteString(line)
		if err != nil {
			c.Fatalf("after %q: %v", head.String(), err)
		}
		if line == "\r\n" {
			return head.String()
		}
	}
}

// rest reads to the end of the connection.
func (c *client) rest() (string, error) {
	rest, err := io.ReadAll(c)
	return string(rest), err
}

// ask sends one request on a connection of its own and returns all that comes.
func (s *site) ask(t testing.TB, request string) string {
	t.Helper()
	c := s.dial(t)
	c.send(request)
	answer, err := c.rest()
	if err != nil {
		t.Fatalf("after %q: %v", answer, err)
	}
	return answer
}

// ok answers 200 with a body of two bytes.
func ok(e exchange.Exchange) {
	e.Respond(200, nil, 2)
	e.Write([]byte("ok"))
}

// seen returns a handler that answers ok and what it has seen.
func seen() (Handler, <-chan exchange.Request) {
	requests := make(chan exchange.Request, 16)
	return func(e exchange.Exchange) {
		r := *e.Request()
		r.Header = append(exchange.Header(nil), r.Header...)
		requests <- r
		ok(e)
	}, requests
}

func receive[T any](t testing.TB, from <-chan T) T {
	t.Helper()
	select {
	case v := <-from:
		return v
	case <-time.After(patience):
		t.Fatal("nothing came")
		panic("unreachable")
	}
}

// within polls until condition holds.
func within(t testing.TB, what string, condition func() bool) {
	t.Helper()
	for deadline := time.Now().Add(patience); !condition(); {
		if time.Now().After(deadline) {
			t.Fatal("never happened: " + what)
		}
		time.Sleep(time.Millisecond)
	}
}

func contains(t testing.TB, text string, parts ...string) {
	t.Helper()
	for _, part := range parts {
		if !strings.Contains(text, part) {
			t.Errorf("%q is not in %q", part, text)
		}
	}
}

func lacks(t testing.TB, text string, parts ...string) {
	t.Helper()
	for _, part := range parts {
		if strings.Contains(strings.ToLower(text), strings.ToLower(part)) {
			t.Errorf("%q is in %q", part, text)
		}
	}
}

type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

func (b *lockedBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}

// certificate is one for the tests, signed by itself.
var certificate = sync.OnceValue(func() tls.Certificate {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		panic(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1),
		Subject:      pkix.Name{CommonName: "test"},
		DNSNames:     []string{"example.com"},
		NotAfter:     time.Now().Add(time.Hour),
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		panic(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
})

// secure serves handler over TLS and gives a client that speaks HTTP/2 to it.
func secure(t testing.TB, handler Handler) (*site, *http.Client) {
	t.Helper()
	return startSecure(t, Config{Handler: handler})
}

func startSecure(t testing.TB, config Config) (*site, *http.Client) {
	t.Helper()
	config.TLS = tlsConfig(func(*tls.ClientHelloInfo) (*tls.Certificate, error) {
		c := certificate()
		return &c, nil
	})
	s := start(t, config)
	transport := &http.Transport{
		ForceAttemptHTTP2:  true,
		DisableCompression: true,
		TLSClientConfig:    &tls.Config{InsecureSkipVerify: true, ServerName: "example.com"},
	}
	t.Cleanup(transport.CloseIdleConnections)
	return s, &http.Client{Transport: transport, Timeout: patience}
}
