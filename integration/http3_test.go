package integration

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/quic-go/quic-go"
	"github.com/quic-go/quic-go/http3"
)

// overQUIC is a client that finds every host at the daemon's HTTPS port, by
// HTTP/3. It follows no redirect.
func overQUIC(t *testing.T, d *daemon, pool *x509.CertPool) *http.Client {
	t.Helper()
	transport := &http3.Transport{
		TLSClientConfig: &tls.Config{RootCAs: pool},
		Dial: func(ctx context.Context, _ string, policy *tls.Config, config *quic.Config) (*quic.Conn, error) {
			return quic.DialAddr(ctx, fmt.Sprintf("127.0.0.1:%d", d.https), policy, config)
		},
	}
	t.Cleanup(func() { transport.Close() })
	return &http.Client{
		Timeout: patience, Transport: transport,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

func TestHTTP3(t *testing.T) {
	d := startDaemon(t, "--http3")
	old, next := startApp(t, "old", echoing), startApp(t, "next", echoing)
	certPath, keyPath, pool := certificate(t, t.TempDir(), "a.example", "www.a.example")
	deploy := func(a *app) {
		d.must("deploy", "web", "--target", a.target(), "--host", "a.example,www.a.example", "--canonical-host", "a.example", "--tls",
			"--tls-certificate-path", certPath, "--tls-private-key-path", keyPath, "--buffer-requests", "--buffer-responses")
	}
	deploy(old)

	offered, err := secure(d, pool).Get("https://a.example/")
	if err != nil {
		t.Fatal(err)
	}
	offered.Body.Close()
	if want := fmt.Sprintf(`h3=":%d"`, d.https); !strings.Contains(offered.Header.Get("Alt-Svc"), want) {
		t.Errorf("Alt-Svc is %q, want %s", offered.Header.Get("Alt-Svc"), want)
	}

	client := overQUIC(t, d, pool)
	body := noise(300_000)
	response, err := client.Post("https://a.example/echo", "text/plain", strings.NewReader(string(body)))
	if err != nil {
		t.Fatal(err)
	}
	got, err := io.ReadAll(response.Body)
	response.Body.Close()
	if err != nil || response.ProtoMajor != 3 || string(got) != string(body) || response.ContentLength != int64(len(body)) {
		t.Errorf("%s: %d bytes of %d, Content-Length %d, %v", response.Proto, len(got), len(body), response.ContentLength, err)
	}
	has(t, entry(t, d, "/echo"), map[string]any{"proto": "HTTP/3.0", "scheme": "https", "service": "web", "status": 200, "client_addr": "127.0.0.1"})

	response, err = client.Get("https://www.a.example/x?y")
	if err != nil {
		t.Fatal(err)
	}
	response.Body.Close()
	if response.StatusCode != http.StatusMovedPermanently || response.Header.Get("Location") != "https://a.example/x?y" {
		t.Errorf("the other host: %d to %q", response.StatusCode, response.Header.Get("Location"))
	}
	if response, err := client.Get("https://nobody.example/"); err == nil {
		response.Body.Close()
		t.Error("the handshake for an unknown host succeeded")
	}

	deploy(next)
	response, err = client.Get("https://a.example/")
	if err != nil {
		t.Fatal(err)
	}
	by, _ := io.ReadAll(response.Body)
	response.Body.Close()
	if string(by) != "next" {
		t.Errorf("after a deploy %q serves", by)
	}
}

func TestHTTP3IsOffUnlessAskedFor(t *testing.T) {
	d := startDaemon(t)
	a := startApp(t, "a")
	certPath, keyPath, pool := certificate(t, t.TempDir(), "a.example")
	d.must("deploy", "web", "--target", a.target(), "--host", "a.example", "--tls", "--tls-certificate-path", certPath, "--tls-private-key-path", keyPath)
	response, err := secure(d, pool).Get("https://a.example/")
	if err != nil {
		t.Fatal(err)
	}
	response.Body.Close()
	if offer := response.Header.Get("Alt-Svc"); offer != "" {
		t.Errorf("Alt-Svc is %q, want none", offer)
	}
}
