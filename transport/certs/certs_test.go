package certs

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"io"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"kamal-proxy/actors/spec"
)

// patience is how long a test waits for what must happen.
const patience = 30 * time.Second

// journal is a log that tests read.
type journal struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (j *journal) Write(p []byte) (int, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.text.Write(p)
}

func (j *journal) String() string {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.text.String()
}

func (j *journal) count(words string) int { return strings.Count(j.String(), words) }

func newPolicy(t testing.TB, edit func(*Config)) (*Policy, *journal) {
	t.Helper()
	j := &journal{}
	config := Config{Log: zerolog.New(j), DefaultCacheDir: t.TempDir(), AskTimeout: patience, Wait: patience}
	if edit != nil {
		edit(&config)
	}
	return New(config), j
}

// newRecord is a service on the root path.
func newRecord(edit func(*spec.Record), hosts ...string) *spec.Record {
	if len(hosts) == 0 {
		hosts = []string{spec.AnyHost}
	}
	r := &spec.Record{Options: spec.DefaultOptions(), TargetOptions: spec.DefaultTargetOptions()}
	r.Options.Hosts = hosts
	r.Options.PathPrefixes = []string{"/"}
	r.Options.TLSEnabled = true
	if edit != nil {
		edit(r)
	}
	return r
}

func custom(r *spec.Record) {
	r.Options.TLSCertificatePath, r.Options.TLSPrivateKeyPath = "/cert.pem", "/key.pem"
}

func plain(r *spec.Record) { r.Options.TLSEnabled = false }

// newCertificate signs a certificate whose common name says which one it is.
func newCertificate(t *testing.T, name string, hosts ...string) *tls.Certificate {
	t.Helper()
	chain, key := newPair(t, name, time.Now().Add(time.Hour), hosts...)
	certificate, err := tls.X509KeyPair(chain, key)
	if err != nil {
		t.Fatal(err)
	}
	return &certificate
}

func newPair(t *testing.T, name string, ends time.Time, hosts ...string) (chain, key []byte) {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1),
		Subject:      pkix.Name{CommonName: name},
		NotBefore:    ends.Add(-2 * time.Hour),
		NotAfter:     ends,
		DNSNames:     hosts,
		IsCA:         true, BasicConstraintsValid: true,
	}
	if len(hosts) > 0 && net.ParseIP(hosts[0]) != nil {
		template.DNSNames, template.IPAddresses = nil, []net.IP{net.ParseIP(hosts[0])}
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &private.PublicKey, private)
	if err != nil {
		t.Fatal(err)
	}
	encoded, err := x509.MarshalECPrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}),
		pem.EncodeToMemory(&pem.Block{Type: "EC PRIVATE KEY", Bytes: encoded})
}

func writeFile(t *testing.T, name string, data []byte) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, data, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// handshake returns the certificate that a client gets; no name: no SNI.
func handshake(p *Policy, serverName string) (*x509.Certificate, error) {
	return handshakeAs(p, &tls.Config{ServerName: serverName})
}

func handshakeAs(p *Policy, config *tls.Config) (*x509.Certificate, error) {
	near, far := net.Pipe()
	defer near.Close()
	served := make(chan error, 1)
	go func() {
		server := tls.Server(far, p.TLSConfig())
		err := server.Handshake()
		if err == nil {
			server.Write([]byte{1})
		}
		server.Close()
		served <- err
	}()
	config.InsecureSkipVerify = true
	client := tls.Client(near, config)
	near.SetDeadline(time.Now().Add(patience))
	_, err := io.ReadFull(client, make([]byte, 1))
	near.Close()
	if failure := <-served; failure != nil {
		return nil, failure
	}
	if err != nil {
		return nil, err
	}
	return client.ConnectionState().PeerCertificates[0], nil
}

// eventually polls until what is true.
func eventually(t *testing.T, what string, is func() bool) {
	t.Helper()
	for end := time.Now().Add(patience); !is(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("%s: not within %v", what, patience)
		}
	}
}

func wantName(t testing.TB, p *Policy, serverName, want string) {
	t.Helper()
	got := ""
	certificate, err := handshake(p, serverName)
	if err == nil {
		got = certificate.Subject.CommonName
	}
	if got != want {
		t.Errorf("a client that names %q gets %q (%v), want %q", serverName, got, err, want)
	}
}
