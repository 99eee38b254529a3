package integration

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"io"
	"math/big"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// certificate writes a new self-signed certificate for hosts, or for an IP
// address, and its key.
func certificate(t *testing.T, dir string, hosts ...string) (certPath, keyPath string, pool *x509.CertPool) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	serial, err := rand.Int(rand.Reader, big.NewInt(1<<62))
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: serial, Subject: pkix.Name{CommonName: hosts[0]}, DNSNames: hosts,
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IsCA: true, BasicConstraintsValid: true,
	}
	if ip := net.ParseIP(hosts[0]); ip != nil {
		template.DNSNames, template.IPAddresses = nil, []net.IP{ip}
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	keyDER, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	certPath, keyPath = filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	certPEM := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
	keyPEM := pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: keyDER})
	if err := os.WriteFile(certPath, certPEM, 0o644); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(keyPath, keyPEM, 0o600); err != nil {
		t.Fatal(err)
	}
	pool = x509.NewCertPool()
	pool.AppendCertsFromPEM(certPEM)
	return certPath, keyPath, pool
}

// secure is a client that trusts pool and finds every host at the daemon's
// HTTPS port. It follows no redirect.
func secure(d *daemon, pool *x509.CertPool) *http.Client {
	dialer := &net.Dialer{}
	return &http.Client{
		Timeout: patience,
		Transport: &http.Transport{
			TLSClientConfig:   &tls.Config{RootCAs: pool},
			ForceAttemptHTTP2: true,
			DisableKeepAlives: true,
			DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
				return dialer.DialContext(ctx, "tcp", fmt.Sprintf("127.0.0.1:%d", d.https))
			},
		},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

func TestCustomCertificate(t *testing.T) {
	d := startDaemon(t)
	a := startApp(t, "a")
	dir := t.TempDir()
	certPath, keyPath, pool := certificate(t, dir, "a.example", "www.a.example")
	deploy := func() {
		d.must("deploy", "web", "--target", a.target(), "--host", "a.example", "--host", "www.a.example", "--tls", "--canonical-host", "a.example",
			"--tls-certificate-path", certPath, "--tls-private-key-path", keyPath)
	}
	deploy()
	client := secure(d, pool)
	response, err := client.Get("https://a.example/some/page")
	if err != nil {
		t.Fatal(err)
	}
	body, err := io.ReadAll(response.Body)
	response.Body.Close()
	if err != nil || string(body) != "a" || response.ProtoMajor != 2 {
		t.Errorf("%q by %s, %v, want a by HTTP/2", body, response.Proto, err)
	}

	if location := redirect(t, d, "www.a.example", "//x/../y?q=1;2"); location != "https://a.example//x/../y?q=1;2" {
		t.Errorf("redirected to %q", location)
	}
	if response, err := client.Get("https://other.example/"); err == nil {
		response.Body.Close()
		t.Error("the handshake for an unknown host succeeded")
	}

	_, _, next := certificate(t, dir, "a.example")
	deploy()
	if response, err := secure(d, next).Get("https://a.example/"); err != nil {
		t.Errorf("the deploy did not read the new certificate: %v", err)
	} else {
		response.Body.Close()
	}

	if err := os.Remove(keyPath); err != nil {
		t.Fatal(err)
	}
	d.must("deploy", "plain", "--host", "plain.example", "--target", a.target())
	d.kill()
	d.start()
	if _, body := d.get("plain.example", "/"); body != "a" {
		t.Errorf("a lost key cost another service its routes: %q", body)
	}
	if location := redirect(t, d, "a.example", "/"); location != "https://a.example/" {
		t.Errorf("after the key was lost, http redirects to %q", location)
	}
}

// redirect asks over http, on a raw connection, and returns the Location of a
// 301 that closes.
func redirect(t *testing.T, d *daemon, host, target string) string {
	t.Helper()
	conn := dial(t, d)
	fmt.Fprintf(conn, "GET %s HTTP/1.1\r\nHost: %s:8080\r\n\r\n", target, host)
	answer, err := io.ReadAll(conn)
	if err != nil {
		t.Fatal(err)
	}
	head, _, _ := bytes.Cut(answer, []byte("\r\n\r\n"))
	if !bytes.HasPrefix(head, []byte("HTTP/1.1 301 ")) {
		t.Errorf("GET %s of %s:\n%s", target, host, head)
		return ""
	}
	for line := range strings.SplitSeq(string(head), "\r\n") {
		if name, value, _ := strings.Cut(line, ": "); strings.EqualFold(name, "Location") {
			return value
		}
	}
	return ""
}

func TestPlainServiceOverTLSIsRefused(t *testing.T) {
	d := startDaemon(t)
	a := startApp(t, "a")
	certPath, keyPath, pool := certificate(t, t.TempDir(), "a.example")
	d.must("deploy", "web", "--target", a.target(), "--host", "a.example", "--tls", "--tls-certificate-path", certPath, "--tls-private-key-path", keyPath)
	d.must("deploy", "plain", "--target", a.target(), "--host", "plain.example")
	d.must("deploy", "api", "--target", a.target(), "--host", "a.example", "--path-prefix", "/api")
	client := secure(d, pool)
	for host, want := range map[string]int{"a.example": 200, "plain.example": 503} {
		request, err := http.NewRequest(http.MethodGet, "https://a.example/", nil)
		if err != nil {
			t.Fatal(err)
		}
		request.Host = host
		response, err := client.Do(request)
		if err != nil {
			t.Fatal(err)
		}
		response.Body.Close()
		if response.StatusCode != want {
			t.Errorf("%s over TLS answers %d, want %d", host, response.StatusCode, want)
		}
	}
	if response, err := client.Get("https://a.example/api/x"); err != nil || response.StatusCode != 200 {
		t.Errorf("a path service has its root's TLS: %v", err)
	}
	if location := redirect(t, d, "a.example", "/api/x"); location != "https://a.example/api/x" {
		t.Errorf("a path service redirects to %q", location)
	}
}

func TestJunkHandshakesDoNotFillTheLog(t *testing.T) {
	d := startDaemon(t)
	for range 50 {
		conn, err := net.Dial("tcp", fmt.Sprintf("127.0.0.1:%d", d.https))
		if err != nil {
			t.Fatal(err)
		}
		fmt.Fprint(conn, "GET / HTTP/1.0\r\n\r\n")
		conn.SetDeadline(time.Now().Add(patience))
		io.ReadAll(conn)
		conn.Close()
	}
	if n := len(d.log.lines()); n > 10 {
		t.Errorf("50 junk handshakes wrote %d lines", n)
	}
}
