package ingress

import (
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"testing"
	"time"

	"kamal-proxy/transport/calm"
	"kamal-proxy/transport/exchange"
	"kamal-proxy/transport/trust"
)

// whoHandler answers with the client's address and the port it has come to.
func whoHandler(x exchange.Exchange) {
	text := x.Request().Client.String()
	x.Respond(200, nil, int64(len(text)))
	io.WriteString(x, text)
}

const introductionLine = "PROXY TCP4 203.0.113.9 192.0.2.1 4242 443\r\n"

func TestClientIsWhoTheProxyProtocolNames(t *testing.T) {
	s := start(t, Config{Handler: whoHandler, ProxyProtocol: true})
	for _, c := range []struct{ header, want string }{
		{introductionLine, "203.0.113.9:4242"},
		{binaryHeader(0x21, 0x21, sixAddresses), "[2001:db8::9]:4242"},
		{checked(0x11, fourAddresses, "\x04\x08\x00"+strings.Repeat("x", 2048)), "203.0.113.9:4242"},
		{"PROXY UNKNOWN\r\n", "self"},
		{binaryHeader(0x20, 0x00), "self"},
	} {
		for _, piece := range []int{1, 11, len(c.header), 1 << 20} {
			client := s.dial(t)
			client.Conn.(*net.TCPConn).SetNoDelay(true)
			want := c.want
			if want == "self" {
				want = client.LocalAddr().String()
			}
			// The request comes with the header's last piece.
			for rest := c.header + "GET / HTTP/1.1\r\nHost: h\r\n\r\n"; rest != ""; {
				n := min(piece, len(rest))
				if len(rest) < 40 || piece > 40 {
					n = len(rest)
				}
				client.send(rest[:n])
				rest = rest[n:]
			}
			if _, body := client.answer(); body != want {
				t.Errorf("%.20q, %d at once: %q, want %q", c.header, piece, body, want)
			}
			client.send("GET /again HTTP/1.1\r\nHost: h\r\n\r\n")
			if _, body := client.answer(); body != want {
				t.Errorf("%.20q, %d at once, the second request: %q, want %q", c.header, piece, body, want)
			}
		}
	}
}

func TestProxyProtocolComesBeforeTLS(t *testing.T) {
	for _, byNetHTTP := range []bool{false, true} {
		s, web := startSecure(t, Config{Handler: whoHandler, ProxyProtocol: true, HTTP2ByNetHTTP: byNetHTTP})
		transport := web.Transport.(*http.Transport)
		dial := func(network, address string) (net.Conn, error) {
			conn, err := net.Dial(network, address)
			if err == nil {
				io.WriteString(conn, introductionLine)
			}
			return conn, err
		}
		transport.Dial = dial
		for _, protocols := range [][]string{{"h2"}, {"http/1.1"}} {
			transport.ForceAttemptHTTP2 = protocols[0] == "h2"
			transport.TLSClientConfig = &tls.Config{InsecureSkipVerify: true, ServerName: "example.com", NextProtos: protocols}
			response, err := web.Get("https://" + s.addr)
			if err != nil {
				t.Fatal(err)
			}
			body, err := io.ReadAll(response.Body)
			response.Body.Close()
			if err != nil || string(body) != "203.0.113.9:4242" {
				t.Fatalf("%s: %q, %v", protocols, body, err)
			}
			if response.TLS.NegotiatedProtocol != protocols[0] {
				t.Errorf("%s: it was %s", protocols, response.TLS.NegotiatedProtocol)
			}
			transport.CloseIdleConnections()
		}
	}
}

func TestCertificatesAreChosenForWhomTheProxyProtocolNames(t *testing.T) {
	asked := make(chan string, 1)
	policy := tlsConfig(func(hello *tls.ClientHelloInfo) (*tls.Certificate, error) {
		asked <- hello.Conn.RemoteAddr().String()
		c := certificate()
		return &c, nil
	})
	s := start(t, Config{Handler: whoHandler, ProxyProtocol: true, TLS: policy})
	client := s.dial(t)
	client.send(introductionLine)
	tls.Client(client.Conn, &tls.Config{InsecureSkipVerify: true, ServerName: "example.com"}).Handshake()
	if got := receive(t, asked); got != "203.0.113.9:4242" {
		t.Errorf("the certificate was asked for by %s", got)
	}
}

func TestConnectionsWithoutAHeaderAreClosed(t *testing.T) {
	s := start(t, Config{Handler: whoHandler, ProxyProtocol: true})
	for _, c := range proxyHeaders {
		if c.client != "-" {
			continue
		}
		client := s.dial(t)
		client.send(c.header)
		client.Conn.(*net.TCPConn).CloseWrite()
		if said, _ := client.rest(); said != "" {
			t.Errorf("%.60q is answered with %q", c.header, said)
		}
	}
	s.dial(t).Conn.Close() // a check of the port by a load balancer, which is none of those
	within(t, "all are closed", func() bool { return s.conns.count() == 0 })
	refused := 0
	for _, c := range proxyHeaders {
		if c.client == "-" {
			refused++
		}
	}
	s.introductions.close()
	if want := fmt.Sprintf(`"count":%d`, refused); !strings.Contains(s.log.String(), want) {
		t.Errorf("%s is not in the log:\n%s", want, s.log)
	}
}

func TestHeadersHaveTheirTime(t *testing.T) {
	calm.Try(t, func(t testing.TB, unit time.Duration) {
		s := start(t, Config{Handler: whoHandler, ProxyProtocol: true, HeadTimeout: 3 * unit})
		for _, start := range []string{"", "PROXY TCP4 203.0.113.9", proxySignature} {
			client := s.dial(t)
			client.send(start)
			if said, err := client.rest(); err != nil || said != "" {
				t.Errorf("%q: %q, %v", start, said, err)
			}
		}
	})
}

func TestOnlyTheTrustedIntroduceTheirClients(t *testing.T) {
	here := trust.Proxies{netip.MustParsePrefix("127.0.0.0/8")}
	elsewhere := trust.Proxies{netip.MustParsePrefix("10.0.0.0/8")}
	for _, c := range []struct {
		name    string
		trusted trust.Proxies
		header  string
		want    string // of the status line; "": it is closed
		client  string // "": itself
	}{
		{"a trusted one with a header", here, introductionLine, "200", "203.0.113.9:4242"},
		{"a trusted one without", here, "", "", ""},
		{"a stranger with a header", elsewhere, introductionLine, "400", ""},
		{"a stranger with a binary one", elsewhere, binaryHeader(0x21, 0x11, fourAddresses), "400", ""},
		{"a stranger without", elsewhere, "", "200", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := start(t, Config{Handler: whoHandler, ProxyProtocol: true, Trusted: c.trusted})
			client := s.dial(t)
			client.send(c.header + "GET / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n")
			said, _ := client.rest()
			if c.want == "" {
				if said != "" {
					t.Errorf("it was answered: %q", said)
				}
				return
			}
			want := c.client
			if want == "" {
				want = client.LocalAddr().String()
			}
			if !strings.HasPrefix(said, "HTTP/1.1 "+c.want) {
				t.Errorf("got %q, want %s", said, c.want)
			}
			if c.want == "200" && !strings.HasSuffix(said, want) {
				t.Errorf("got %q, want %s", said, want)
			}
		})
	}
}

// A long body, which goes from socket to socket, and the lookout's finding are
// those of a connection without a header.
func TestSocketIsUsedAsEverBehindAHeader(t *testing.T) {
	gone := make(chan struct{})
	s := start(t, Config{ProxyProtocol: true, Handler: func(x exchange.Exchange) {
		if _, ok := x.(exchange.Sink); !ok {
			t.Error("bodies cannot be spliced")
		}
		<-x.Context().Done()
		close(gone)
	}})
	client := s.dial(t)
	client.send(introductionLine + "GET / HTTP/1.1\r\nHost: h\r\n\r\n")
	within(t, "the lookout looks", s.lookout.armed.Load)
	client.Conn.Close()
	receive(t, gone)
}

// A header that is still to come is nothing to wait for at the end.
func TestShutdownDoesNotWaitForHeaders(t *testing.T) {
	s := start(t, Config{Handler: whoHandler, ProxyProtocol: true})
	client := s.dial(t)
	client.send("PROXY ")
	within(t, "it is connected", func() bool { return s.conns.count() == 1 })
	ctx, cancel := context.WithTimeout(t.Context(), patience) // less than the header's time
	defer cancel()
	if err := s.Shutdown(ctx); err != nil {
		t.Error(err)
	}
	client.rest()
}
