package certs

import (
	"bufio"
	"crypto/tls"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/net/dns/dnsmessage"

	"kamal-proxy/actors/spec"
)

// pebble is a certificate authority on loopback that finds every host there.
type pebble struct {
	directory string
	roots     *Roots
	httpPort  int // where it asks for HTTP-01
	tlsPort   int // where it asks for TLS-ALPN-01
}

// newPebble starts $PEBBLE, or pebble of the PATH:
// go install github.com/letsencrypt/pebble/v2/cmd/pebble@v2.10.1
func newPebble(t *testing.T) *pebble {
	t.Helper()
	program := os.Getenv("PEBBLE")
	if program == "" {
		var err error
		if program, err = exec.LookPath("pebble"); err != nil {
			t.Skip("pebble is not installed: it is neither in PATH nor named by $PEBBLE")
		}
	}
	chain, private := newPair(t, "pebble", time.Now().Add(time.Hour), "127.0.0.1")
	chainFile, keyFile := writeFile(t, "cert.pem", chain), writeFile(t, "key.pem", private)
	roots, err := LoadRoots(chainFile)
	if err != nil {
		t.Fatal(err)
	}
	ports := freePorts(t, 3)
	listen := fmt.Sprintf("127.0.0.1:%d", ports[0])
	p := &pebble{directory: "https://" + listen + "/dir", roots: roots, httpPort: ports[1], tlsPort: ports[2]}
	config, err := json.Marshal(map[string]any{"pebble": map[string]any{
		"listenAddress": listen, "certificate": chainFile, "privateKey": keyFile,
		"httpPort": p.httpPort, "tlsPort": p.tlsPort, "keyAlgorithm": "ecdsa",
		"retryAfter": map[string]int{"authz": 1, "order": 1},
	}})
	if err != nil {
		t.Fatal(err)
	}
	start(t, program, listen, writeFile(t, "pebble.json", config), newResolver(t))
	return p
}

func start(t *testing.T, program, listen, config, resolver string) {
	t.Helper()
	command := exec.Command(program, "-config", config, "-dnsserver", resolver)
	command.Env = append(os.Environ(), "PEBBLE_VA_NOSLEEP=1", "PEBBLE_WFE_NONCEREJECT=10")
	output := &journal{}
	command.Stdout, command.Stderr = output, output
	if err := command.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		command.Process.Kill()
		command.Wait()
		if t.Failed() {
			t.Logf("pebble: %s", output)
		}
	})
	eventually(t, "the start of pebble", func() bool {
		conn, err := net.Dial("tcp", listen)
		if err == nil {
			conn.Close()
		}
		return err == nil
	})
}

// freePorts finds ports that are below those which the kernel gives to whoever
// asks for any: nobody else gets one of them before it is used.
func freePorts(t *testing.T, n int) (ports []int) {
	t.Helper()
	for tries := 0; len(ports) < n; tries++ {
		port := 20_000 + rand.IntN(10_000)
		listener, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", port))
		if err == nil {
			defer listener.Close()
			ports = append(ports, port)
		} else if tries == 100 {
			t.Fatal(err)
		}
	}
	return ports
}

// newResolver answers for every name that it is 127.0.0.1, over TCP.
func newResolver(t *testing.T) string {
	t.Helper()
	listener := open(t, 0, func(conn net.Conn) {
		reader := bufio.NewReader(conn)
		for {
			length := make([]byte, 2)
			if _, err := io.ReadFull(reader, length); err != nil {
				return
			}
			query := make([]byte, binary.BigEndian.Uint16(length))
			if _, err := io.ReadFull(reader, query); err != nil {
				return
			}
			var m dnsmessage.Message
			if m.Unpack(query) != nil || len(m.Questions) != 1 {
				return
			}
			m.Response, m.Additionals = true, nil
			if q := m.Questions[0]; q.Type == dnsmessage.TypeA {
				m.Answers = []dnsmessage.Resource{{
					Header: dnsmessage.ResourceHeader{Name: q.Name, Class: q.Class, TTL: 1},
					Body:   &dnsmessage.AResource{A: [4]byte{127, 0, 0, 1}},
				}}
			}
			answer, err := m.Pack()
			if err != nil {
				return
			}
			conn.Write(append(binary.BigEndian.AppendUint16(nil, uint16(len(answer))), answer...))
		}
	})
	return listener.Addr().String()
}

// open serves connections on a port of loopback until the test ends.
func open(t *testing.T, port int, serve func(net.Conn)) net.Listener {
	t.Helper()
	listener, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", port))
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
			go func() {
				defer conn.Close()
				serve(conn)
			}()
		}
	}()
	return listener
}

// openTLS serves handshakes where the authority asks for TLS-ALPN-01.
func (a *pebble) openTLS(t *testing.T, p *Policy) {
	open(t, a.tlsPort, func(conn net.Conn) { tls.Server(conn, p.TLSConfig()).Handshake() })
}

// openHTTP serves where the authority asks for HTTP-01.
func (a *pebble) openHTTP(t *testing.T, p *Policy) {
	listener, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", a.httpPort))
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, status, ours := p.Challenge(r.Host, r.URL.EscapedPath())
		if !ours {
			status = http.StatusTeapot
		}
		w.WriteHeader(status)
		w.Write(body)
	}))
	server.Listener.Close()
	server.Listener = listener
	server.Start()
	t.Cleanup(server.Close)
}

func (a *pebble) automatic(edit func(*spec.Record), hosts ...string) *spec.Record {
	return newRecord(func(r *spec.Record) {
		r.Options.ACMEDirectory = a.directory
		if edit != nil {
			edit(r)
		}
	}, hosts...)
}

func TestPebble(t *testing.T) {
	t.Parallel()
	a := newPebble(t)
	t.Run("TLS-ALPN-01", a.testTLSALPN)
	t.Run("HTTP-01", a.testHTTP)
	t.Run("on demand", a.testOnDemand)
	t.Run("failure", a.testFailure)
	t.Run("no more orders", a.testNoMoreOrders)
}

func (a *pebble) testTLSALPN(t *testing.T) {
	cache := t.TempDir()
	p, log := newPolicy(t, func(c *Config) { c.DefaultCacheDir = cache })
	a.openTLS(t, p)
	p.Put("web", a.automatic(nil, "app.example.com"), nil, a.roots)
	first, err := handshake(p, "APP.example.com")
	if err != nil {
		t.Fatalf("%v; log: %s", err, log)
	}
	if err := first.VerifyHostname("app.example.com"); err != nil || !strings.Contains(first.Issuer.CommonName, "Pebble") {
		t.Errorf("the certificate is of %q for %q (%v)", first.Issuer.CommonName, first.DNSNames, err)
	}
	p.Put("web", a.automatic(nil, "app.example.com", "www.example.com"), nil, a.roots)
	if again, err := handshake(p, "app.example.com"); err != nil || again.SerialNumber.Cmp(first.SerialNumber) != 0 {
		t.Errorf("a redeploy changes the certificate (%v)", err)
	}
	files, _ := filepath.Glob(filepath.Join(cache, "*", "app.example.com"))
	if len(files) != 1 {
		t.Errorf("kept as %q, want one file in a folder for the directory", files)
	}

	restarted, _ := newPolicy(t, func(c *Config) { c.DefaultCacheDir = cache })
	restarted.Put("web", a.automatic(nil, "app.example.com"), nil, a.roots)
	_, terms, _ := restarted.find("app.example.com")
	dead := &deadEnd{}
	terms.issuer.courier.next = dead
	again, err := handshake(restarted, "app.example.com")
	if err != nil || again.SerialNumber.Cmp(first.SerialNumber) != 0 {
		t.Errorf("after a restart the certificate is another one (%v)", err)
	}
	if n := dead.calls.Load(); n != 0 {
		t.Errorf("after a restart the authority is asked %d times", n)
	}
}

func (a *pebble) testHTTP(t *testing.T) {
	p, log := newPolicy(t, nil)
	a.openHTTP(t, p)
	p.Put("web", a.automatic(nil, "http.example.com"), nil, a.roots)
	certificate, err := handshake(p, "http.example.com")
	if err != nil {
		t.Fatalf("%v; log: %s", err, log)
	}
	if err := certificate.VerifyHostname("http.example.com"); err != nil {
		t.Error(err)
	}
}

func (a *pebble) testOnDemand(t *testing.T) {
	e := newEndpoint(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Query().Get("host") != "customer.example.com" {
			w.WriteHeader(http.StatusForbidden)
		}
	})
	p, log := newPolicy(t, nil)
	a.openTLS(t, p)
	p.Put("shop", a.automatic(func(r *spec.Record) { r.Options.TLSOnDemandURL = e.URL + "/allow" }), nil, a.roots)
	for range 2 {
		certificate, err := handshake(p, "customer.example.com")
		if err != nil {
			t.Fatalf("%v; log: %s", err, log)
		}
		if err := certificate.VerifyHostname("customer.example.com"); err != nil {
			t.Error(err)
		}
	}
	wantName(t, p, "stranger.example.com", "")
	if got := e.questions(); len(got) != 2 {
		t.Errorf("asked %q, want one question for each host", got)
	}
}

func (a *pebble) testFailure(t *testing.T) {
	p, log := newPolicy(t, nil)
	p.Put("web", a.automatic(nil, "closed.example.com"), nil, a.roots)
	wantName(t, p, "closed.example.com", "")
	wantName(t, p, "closed.example.com", "")
	if n := log.count("Unable to get a certificate"); n != 1 {
		t.Errorf("two handshakes log %d lines: %s", n, log)
	}
	for _, words := range []string{"closed.example.com", "tls-alpn-01: ", "http-01: ", "refused"} {
		if !strings.Contains(log.String(), words) {
			t.Errorf("the log does not say %q: %s", words, log)
		}
	}
}

func (a *pebble) testNoMoreOrders(t *testing.T) {
	p, log := newPolicy(t, nil)
	a.openTLS(t, p)
	p.Put("web", a.automatic(nil, "gone.example.com"), nil, a.roots)
	_, terms, _ := p.find("gone.example.com")
	if _, err := handshake(p, "gone.example.com"); err != nil {
		t.Fatalf("%v; log: %s", err, log)
	}
	order := func() error {
		_, err := terms.issuer.manager.Client.AuthorizeOrder(t.Context(), domain("gone.example.com"))
		return err
	}
	if err := order(); err != nil {
		t.Errorf("a host of a service is not renewed: %v", err)
	}
	p.Remove("web")
	if err := order(); err == nil || !strings.Contains(err.Error(), errNotOurs.Error()) {
		t.Errorf("a host of no service is renewed: %v", err)
	}
}
