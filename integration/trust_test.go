package integration

import (
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
)

// hear sends bytes and returns what comes back, be it nothing and a reset.
func hear(t *testing.T, d *daemon, bytes string) string {
	t.Helper()
	c := dial(t, d)
	if _, err := io.WriteString(c, bytes); err != nil {
		t.Fatal(err)
	}
	said, _ := io.ReadAll(c)
	return string(said)
}

var claims = []string{
	"X-Forwarded-For: 6.6.6.6, 203.0.113.9", "X-Forwarded-Host: outer.example", "X-Forwarded-Proto: https", "X-Forwarded-Port: 443",
	"Forwarded: for=6.6.6.6", "X-Real-IP: 203.0.113.9", "X_Forwarded_For: 6.6.6.6", "Proxy: http://6.6.6.6/", "X-Kamal-Target: outer:80",
}

func TestTrustedProxies(t *testing.T) {
	raw := startRaw(t, nil)
	for _, c := range []struct {
		name   string
		args   []string
		env    []string
		flags  []string
		want   map[string][]string
		remote string
	}{
		{"a stranger", []string{"--trusted-proxy", "10.0.0.0/8"}, nil, []string{"--client-ip-header", "X-Real-IP"}, map[string][]string{
			"X-Forwarded-For": {"127.0.0.1"}, "X-Forwarded-Host": {"a.example"}, "X-Forwarded-Proto": {"http"}, "X-Forwarded-Port": nil,
			"Forwarded": nil, "X-Real-IP": nil, "X_Forwarded_For": nil, "Proxy": nil, "X-Kamal-Target": {raw.target()},
		}, "127.0.0.1"},
		{"a trusted one", []string{"--trusted-proxy", "10.0.0.0/8,::1", "--trusted-proxy", "127.0.0.1"}, nil, nil, map[string][]string{
			"X-Forwarded-For": {"6.6.6.6, 203.0.113.9, 127.0.0.1"}, "X-Forwarded-Host": {"outer.example"}, "X-Forwarded-Proto": {"https"},
			"X-Forwarded-Port": {"443"}, "Forwarded": {"for=6.6.6.6"}, "X-Real-IP": {"203.0.113.9"}, "X_Forwarded_For": nil, "Proxy": nil,
			"X-Kamal-Target": {"outer:80, " + raw.target()},
		}, "203.0.113.9"},
		{"by the environment", nil, []string{"KAMAL_PROXY_TRUSTED_PROXY=::ffff:127.0.0.0/104"}, []string{"--client-ip-header", "X-Real-IP"}, map[string][]string{
			"X-Forwarded-For": {"203.0.113.9, 127.0.0.1"},
		}, "203.0.113.9"},
		{"nobody is named", nil, nil, nil, map[string][]string{
			"X-Forwarded-For": {"6.6.6.6, 203.0.113.9, 127.0.0.1"}, "X-Forwarded-Port": {"443"}, "X_Forwarded_For": nil, "Proxy": nil,
		}, "6.6.6.6, 203.0.113.9"},
	} {
		d := startWith(t, c.env, append([]string{"--http-port", "0", "--https-port", "0"}, c.args...)...)
		d.must(append([]string{"deploy", "web", "--target", raw.target()}, c.flags...)...)
		ask(t, d, "GET /claims", "a.example", claims...)
		head := raw.one(t)
		for name, want := range c.want {
			if got := field(head, name); fmt.Sprintf("%q", got) != fmt.Sprintf("%q", want) {
				t.Errorf("%s: %s is %q, want %q", c.name, name, got, want)
			}
		}
		if got := entry(t, d, "/claims")["remote_addr"]; got != c.remote {
			t.Errorf("%s: remote_addr is %q, want %q", c.name, got, c.remote)
		}
		d.stop()
	}
}

const proxyLine = "PROXY TCP4 203.0.113.9 192.0.2.1 4242 443\r\n"

func TestProxyProtocol(t *testing.T) {
	d := startDaemon(t, "--proxy-protocol", "--http3")
	eventually(t, "the daemon warns", func() error {
		for _, warning := range []string{"--proxy-protocol without --trusted-proxy", "--proxy-protocol does not apply to --http3"} {
			if !strings.Contains(d.log.String(), warning) {
				return fmt.Errorf("%q is not in the log", warning)
			}
		}
		return nil
	})
	raw := startRaw(t, nil)
	cert, key, pool := certificate(t, t.TempDir(), "s.example")
	d.must("deploy", "web", "--target", raw.target())
	d.must("deploy", "safe", "--host", "s.example", "--target", raw.target(), "--tls", "--tls-certificate-path", cert, "--tls-private-key-path", key)

	for name, header := range map[string]string{
		"line":   proxyLine,
		"binary": "\r\n\r\n\x00\r\nQUIT\n\x21\x11\x00\x0c\xcb\x00\x71\x09\xc0\x00\x02\x01\x10\x92\x01\xbb",
	} {
		answer := say(t, d, header+"GET /"+name+" HTTP/1.1\r\nHost: a.example\r\nConnection: close\r\n\r\n")
		if !strings.HasPrefix(answer, "HTTP/1.1 200") {
			t.Errorf("%s: %.60q", name, answer)
		}
		if got := field(raw.one(t), "X-Forwarded-For"); fmt.Sprint(got) != "[203.0.113.9]" {
			t.Errorf("%s: X-Forwarded-For is %s", name, got)
		}
		line := entry(t, d, "/"+name)
		if line["client_addr"] != "203.0.113.9" || line["client_port"] != "4242" || line["remote_addr"] != "203.0.113.9" {
			t.Errorf("%s: the log says %v", name, line)
		}
	}

	for _, protocol := range []string{"h2", "http/1.1"} {
		transport := &http.Transport{
			ForceAttemptHTTP2: protocol == "h2",
			TLSClientConfig:   &tls.Config{RootCAs: pool, ServerName: "s.example", NextProtos: []string{protocol}},
			Dial: func(network, _ string) (net.Conn, error) {
				conn, err := net.Dial(network, fmt.Sprintf("127.0.0.1:%d", d.https))
				if err == nil {
					io.WriteString(conn, proxyLine)
				}
				return conn, err
			},
		}
		response, err := (&http.Client{Transport: transport, Timeout: patience}).Get("https://s.example/" + protocol)
		if err != nil {
			t.Fatalf("%s: %v", protocol, err)
		}
		response.Body.Close()
		transport.CloseIdleConnections()
		if got := field(raw.one(t), "X-Forwarded-For"); fmt.Sprint(got) != "[203.0.113.9]" {
			t.Errorf("%s: X-Forwarded-For is %s", protocol, got)
		}
		if line := entry(t, d, "/"+protocol); line["client_addr"] != "203.0.113.9" {
			t.Errorf("%s: the log says %v", protocol, line)
		}
	}

	for _, junk := range []string{"GET / HTTP/1.1\r\nHost: a.example\r\n\r\n", "PROXY TCP4 1.2.3.4\r\n", "\x16\x03\x01"} {
		if got := hear(t, d, junk); got != "" {
			t.Errorf("%q is answered: %.60q", junk, got)
		}
	}
	d.stop()
	if !strings.Contains(d.log.String(), `"count":3`) {
		t.Error("connections without a header are not counted")
	}
}

// With trusted proxies named these must send a header, and all others are
// served without.
func TestProxyProtocolOfTrustedProxies(t *testing.T) {
	raw := startRaw(t, nil)
	const request = "GET / HTTP/1.1\r\nHost: a.example\r\nX-Forwarded-For: 6.6.6.6\r\nConnection: close\r\n\r\n"
	for _, c := range []struct{ network, header, status, forwarded string }{
		{"127.0.0.0/8", proxyLine, "200", "[203.0.113.9]"},
		{"127.0.0.0/8", "", "", ""},
		{"127.0.0.0/8,203.0.113.0/24", proxyLine, "200", "[6.6.6.6, 203.0.113.9]"},
		{"10.0.0.0/8", "", "200", "[127.0.0.1]"},
		{"10.0.0.0/8", proxyLine, "400", ""},
	} {
		d := startWith(t, nil, "--http-port", "0", "--https-port", "0", "--proxy-protocol", "--trusted-proxy", c.network)
		d.must("deploy", "web", "--target", raw.target())
		answer := hear(t, d, c.header+request)
		if got, _, _ := strings.Cut(strings.TrimPrefix(answer, "HTTP/1.1 "), " "); got != c.status {
			t.Errorf("%+v: %.60q", c, answer)
		}
		if c.forwarded != "" {
			if got := field(raw.one(t), "X-Forwarded-For"); fmt.Sprint(got) != c.forwarded {
				t.Errorf("%+v: X-Forwarded-For is %s", c, got)
			}
		}
		if strings.Contains(d.log.String(), "without --trusted-proxy") {
			t.Errorf("%+v: it warns", c)
		}
		d.stop()
	}
}

// Limits for a client's address go by the one that the header names.
func TestLimitsOfClientsThatAreIntroduced(t *testing.T) {
	d := startDaemon(t, "--proxy-protocol", "--max-client-connections", "2")
	d.must("deploy", "web", "--target", startApp(t, "a").target())
	served := func(client string) bool {
		c := dial(t, d) // is kept open
		fmt.Fprintf(c, "PROXY TCP4 %s 192.0.2.1 4242 443\r\nGET / HTTP/1.1\r\nHost: a.example\r\n\r\n", client)
		answer := make([]byte, len("HTTP/1.1 200"))
		io.ReadFull(c, answer)
		return string(answer) == "HTTP/1.1 200"
	}
	for i, want := range []bool{true, true, false} {
		if got := served("203.0.113.9"); got != want {
			t.Errorf("connection %d of a client: %t", i+1, got)
		}
	}
	if !served("203.0.113.10") {
		t.Error("another client by the same load balancer is refused")
	}
}
