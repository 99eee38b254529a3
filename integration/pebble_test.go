package integration

import (
	"bufio"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"

	"golang.org/x/net/dns/dnsmessage"
)

// pebble is a certificate authority on loopback, which finds every host at the
// ports that it was started with.
type pebble struct {
	directory string // URL of its ACME directory
	root      string // file with the root to trust for that URL
	stop      func()
}

func startPebble(t *testing.T, httpPort, tlsPort int) *pebble {
	t.Helper()
	program, address, dir := peer(t, "pebble"), freeAddress(t), t.TempDir()
	certPath, keyPath, _ := certificate(t, dir, "127.0.0.1")
	config, err := json.Marshal(map[string]any{"pebble": map[string]any{
		"listenAddress": address, "certificate": certPath, "privateKey": keyPath,
		"httpPort": httpPort, "tlsPort": tlsPort,
		"retryAfter": map[string]int{"authz": 1, "order": 1},
	}})
	if err != nil {
		t.Fatal(err)
	}
	configPath := filepath.Join(dir, "pebble.json")
	if err := os.WriteFile(configPath, config, 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(program, "-config", configPath, "-dnsserver", startNames(t))
	cmd.Env = append(os.Environ(), "PEBBLE_VA_NOSLEEP=1")
	return &pebble{directory: "https://" + address + "/dir", root: certPath, stop: launch(t, address, cmd)}
}

// flags are a deploy's that let it get its certificates here.
func (p *pebble) flags(more ...string) []string {
	return append([]string{"--tls", "--tls-acme-directory", p.directory, "--tls-acme-ca", p.root}, more...)
}

// startNames runs a DNS server, over TCP as Pebble asks, that knows every name
// as 127.0.0.1.
func startNames(t *testing.T) (address string) {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { listener.Close() })
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			go serveNames(conn)
		}
	}()
	return listener.Addr().String()
}

// serveNames answers questions with a length of two bytes before each (RFC
// 1035, section 4.2.2).
func serveNames(conn net.Conn) {
	defer conn.Close()
	questions := bufio.NewReader(conn)
	for {
		var length uint16
		if binary.Read(questions, binary.BigEndian, &length) != nil {
			return
		}
		question := make([]byte, length)
		if _, err := io.ReadFull(questions, question); err != nil {
			return
		}
		answer, err := nameAnswer(question)
		if err != nil {
			return
		}
		conn.Write(append(binary.BigEndian.AppendUint16(nil, uint16(len(answer))), answer...))
	}
}

func nameAnswer(question []byte) ([]byte, error) {
	var message dnsmessage.Message
	if err := message.Unpack(question); err != nil {
		return nil, err
	}
	message.Response, message.Additionals = true, nil
	for _, q := range message.Questions {
		if q.Type == dnsmessage.TypeA {
			message.Answers = append(message.Answers, dnsmessage.Resource{
				Header: dnsmessage.ResourceHeader{Name: q.Name, Class: q.Class},
				Body:   &dnsmessage.AResource{A: [4]byte{127, 0, 0, 1}},
			})
		}
	}
	return message.Pack()
}

// handshake returns the certificate that the daemon shows for a host.
func handshake(d *daemon, host string) (*x509.Certificate, error) {
	ctx, cancel := context.WithTimeout(d.t.Context(), patience)
	defer cancel()
	dialer := &tls.Dialer{Config: &tls.Config{ServerName: host, InsecureSkipVerify: true}}
	conn, err := dialer.DialContext(ctx, "tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(d.https)))
	if err != nil {
		return nil, err
	}
	defer conn.Close()
	return conn.(*tls.Conn).ConnectionState().PeerCertificates[0], nil
}

// awaitCertificate waits until the daemon shows Pebble's certificate for a host.
func awaitCertificate(t *testing.T, d *daemon, host string) (shown *x509.Certificate) {
	t.Helper()
	eventually(t, "a certificate for "+host, func() (err error) {
		if shown, err = handshake(d, host); err != nil {
			return err
		}
		if !strings.HasPrefix(shown.Issuer.CommonName, "Pebble") {
			return fmt.Errorf("it is from %q", shown.Issuer.CommonName)
		}
		return shown.VerifyHostname(host)
	})
	return shown
}

// wantNoCertificate fails the test if the daemon shows any for a host.
func wantNoCertificate(t *testing.T, d *daemon, host string) {
	t.Helper()
	if shown, err := handshake(d, host); err == nil {
		t.Errorf("%s has a certificate, of %s", host, shown.Issuer.CommonName)
	}
}

func TestAutomaticCertificateOutlivesItsAuthority(t *testing.T) {
	d := startDaemon(t)
	a := startApp(t, "a")
	authority := startPebble(t, closedPortNumber(t), d.https) // so the challenge is TLS-ALPN-01
	d.must(append([]string{"deploy", "web", "--target", a.target(), "--host", "app.example.com"}, authority.flags()...)...)
	first := awaitCertificate(t, d, "app.example.com")
	wantNoCertificate(t, d, "other.example.com")

	authority.stop()
	d.stop()
	d.start()
	again, err := handshake(d, "app.example.com")
	if err != nil || again.SerialNumber.Cmp(first.SerialNumber) != 0 {
		t.Errorf("after a restart without the authority: %v, want the certificate from before", err)
	}
	pool := x509.NewCertPool()
	pool.AddCert(first)
	response, err := secure(d, pool).Get("https://app.example.com/")
	if err != nil {
		t.Fatal(err)
	}
	if body, err := whole(response); body != "a" {
		t.Errorf("over TLS the app answers %q, %v", body, err)
	}
}

func TestAutomaticCertificateByHTTP(t *testing.T) {
	d := startDaemon(t)
	var asked atomic.Int64
	a := startApp(t, "a", func(mux *http.ServeMux) {
		mux.HandleFunc("/.well-known/", func(http.ResponseWriter, *http.Request) { asked.Add(1) })
	})
	authority := startPebble(t, d.http, closedPortNumber(t))
	d.must(append([]string{"deploy", "web", "--target", a.target(), "--host", "app.example.com"}, authority.flags()...)...)
	awaitCertificate(t, d, "app.example.com")

	const token = "/.well-known/acme-challenge/nobody-knows-this-token"
	if status, _ := d.get("app.example.com", token); status != http.StatusNotFound {
		t.Errorf("an unknown token answers %d, want 404", status)
	}
	if n := asked.Load(); n != 0 {
		t.Errorf("%d challenges reached the app", n)
	}
	d.must("deploy", "plain", "--target", a.target(), "--host", "plain.example.com")
	if status, _ := d.get("plain.example.com", token); status != http.StatusOK || asked.Load() != 1 {
		t.Errorf("a service without TLS answers challenges by itself: got %d, want its app's 200", status)
	}
}

func TestCertificatesOnDemandByURL(t *testing.T) {
	d := startDaemon(t)
	a := startApp(t, "a")
	var asked atomic.Int64
	gate := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked.Add(1)
		if r.URL.Path != "/allow" || r.URL.Query().Get("key") != "1" || r.URL.Query().Get("host") != "customer.example.com" {
			http.Error(w, "this is no customer", http.StatusForbidden)
		}
	}))
	t.Cleanup(gate.Close)
	authority := startPebble(t, d.http, d.https)
	d.must(append([]string{"deploy", "web", "--target", a.target()}, authority.flags("--tls-on-demand-url", gate.URL+"/allow?key=1")...)...)
	awaitCertificate(t, d, "customer.example.com")
	wantNoCertificate(t, d, "stranger.example.com")
	eventually(t, "the log has the denial", func() error {
		if said := d.log.String(); !strings.Contains(said, "this is no customer") {
			return fmt.Errorf("not in it")
		}
		return nil
	})
	before := asked.Load()
	awaitCertificate(t, d, "customer.example.com")
	if after := asked.Load(); after != before {
		t.Error("it was asked again for a host that has its certificate")
	}
}

func TestCertificatesOnDemandByPathOfTheApp(t *testing.T) {
	d := startDaemon(t)
	var asked atomic.Int64
	a := startApp(t, "a", func(mux *http.ServeMux) {
		mux.HandleFunc("/allow", func(w http.ResponseWriter, r *http.Request) {
			asked.Add(1)
			if r.Host != r.URL.Query().Get("host") || r.Host == "stranger.example.com" {
				w.WriteHeader(http.StatusForbidden)
			}
		})
	})
	authority := startPebble(t, d.http, d.https)
	d.must(append([]string{"deploy", "web", "--target", a.target()}, authority.flags("--tls-on-demand-url", "/allow")...)...)
	awaitCertificate(t, d, "customer.example.com")
	wantNoCertificate(t, d, "stranger.example.com")
	if n := asked.Load(); n != 2 {
		t.Errorf("the app was asked %d times, want once for each host", n)
	}
	d.must("stop", "web")
	wantNoCertificate(t, d, "late.example.com")
	if n := asked.Load(); n != 2 {
		t.Error("the app was asked though its service is stopped")
	}
	awaitCertificate(t, d, "customer.example.com")
}

// closedPortNumber is a port of loopback where nothing listens.
func closedPortNumber(t *testing.T) int {
	t.Helper()
	_, port, _ := net.SplitHostPort(closedPort(t))
	n, err := strconv.Atoi(port)
	if err != nil {
		t.Fatal(err)
	}
	return n
}
