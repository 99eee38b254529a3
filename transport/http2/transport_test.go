package http2

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"fmt"
	"io"
	"maps"
	"math/big"
	mathrand "math/rand/v2"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/net/http2"

	"kamal-proxy/transport/exchange"
)

// secure serves a handler over TLS, as an ingress does.
func secure(t testing.TB, config Config) (address string) {
	t.Helper()
	listener, err := tls.Listen("tcp", "127.0.0.1:0", &tls.Config{Certificates: []tls.Certificate{certificate(t)}, NextProtos: []string{"h2"}})
	if err != nil {
		t.Fatal(err)
	}
	s := NewServer(config)
	var serving sync.WaitGroup
	serving.Go(func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			serving.Go(func() {
				if conn.(*tls.Conn).HandshakeContext(context.Background()) != nil {
					conn.Close()
					return
				}
				s.Serve(conn, peerOf(conn))
			})
		}
	})
	t.Cleanup(func() {
		listener.Close()
		s.Close()
		serving.Wait()
	})
	return listener.Addr().String()
}

func certificate(t testing.TB) tls.Certificate {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour), IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
}

func transport(t testing.TB) *http2.Transport {
	web := &http2.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}, DisableCompression: true}
	t.Cleanup(web.CloseIdleConnections)
	return web
}

// mirrorBack answers with what it was asked: the method, the path and a few fields
// in fields, the body in the body, its trailer in the trailer.
func mirrorBack(e exchange.Exchange) {
	r := e.Request()
	header := fields("X-Method", r.Method, "X-Target", r.Target, "X-Length", strconv.FormatInt(r.ContentLength, 10))
	for _, f := range r.Header {
		if strings.HasPrefix(f.Name, "x-") || f.Name == "cookie" {
			header.Add("Echo-"+f.Name, f.Value)
		}
	}
	if r.Method == "HEAD" {
		header.Add("Content-Length", "0")
	}
	e.Respond(200, header, r.ContentLength)
	if _, err := io.CopyBuffer(struct{ io.Writer }{e}, struct{ io.Reader }{r.Body}, make([]byte, 3000)); err != nil {
		e.Abort()
	}
	if trailer := r.Trailer(); len(trailer) > 0 {
		e.Trail(trailer)
	}
}

// mirrorWeb does the same on net/http.
func mirrorWeb(w http.ResponseWriter, r *http.Request) {
	h := w.Header()
	h.Set("X-Method", r.Method)
	h.Set("X-Target", r.RequestURI)
	h.Set("X-Length", strconv.FormatInt(r.ContentLength, 10))
	for name, values := range r.Header {
		if strings.HasPrefix(name, "X-") || name == "Cookie" {
			h["Echo-"+name] = values
		}
	}
	if r.ContentLength >= 0 {
		h.Set("Content-Length", strconv.FormatInt(r.ContentLength, 10))
	}
	h["Content-Type"] = nil
	if r.ContentLength < 0 { // or it would count
		w.WriteHeader(200)
		w.(http.Flusher).Flush()
	}
	io.Copy(w, r.Body)
	for name, values := range r.Trailer {
		h[http.TrailerPrefix+name] = values
	}
}

// TestTheSameAsNetHTTP asks both servers the same, at random and many at once,
// through x/net's client.
func TestTheSameAsNetHTTP(t *testing.T) {
	ours := secure(t, Config{Handler: mirrorBack})
	theirs := httptest.NewUnstartedServer(http.HandlerFunc(mirrorWeb))
	theirs.EnableHTTP2 = true
	theirs.StartTLS()
	defer theirs.Close()
	web := transport(t)
	var asking sync.WaitGroup
	for worker := range 8 {
		asking.Go(func() {
			random := mathrand.New(mathrand.NewPCG(uint64(worker), 0))
			for range 25 {
				seed := random.Uint64()
				a, errA := ask(web, "https://"+ours, seed)
				b, errB := ask(web, theirs.URL, seed)
				if errA != nil || errB != nil || a != b {
					t.Errorf("seed %d: ours %s, %v\ntheirs %s, %v", seed, a, errA, b, errB)
					return
				}
			}
		})
	}
	asking.Wait()
}

// ask makes the request of a seed, and returns what came of it.
func ask(web *http2.Transport, base string, seed uint64) (string, error) {
	random := mathrand.New(mathrand.NewPCG(seed, 1))
	method := []string{"GET", "HEAD", "POST", "PUT", "DELETE", "PURGE"}[random.IntN(6)]
	var body io.Reader
	size := 0
	if method == "POST" || method == "PUT" {
		size = random.IntN([]int{10, 1000, 100_000, 1_500_000}[random.IntN(4)])
		content := make([]byte, size)
		for i := range content {
			content[i] = byte(i * int(seed%251))
		}
		body = bytes.NewReader(content)
		if random.IntN(3) == 0 {
			body = struct{ io.Reader }{body}
		}
	}
	r, err := http.NewRequest(method, base+"/p/"+strconv.FormatUint(seed, 36)+"?q=%2F;x", body)
	if err != nil {
		return "", err
	}
	for i := range random.IntN(5) {
		r.Header.Set("X-"+strconv.Itoa(i), strings.Repeat("v", random.IntN(10)*random.IntN(200)))
	}
	for i := range random.IntN(4) {
		r.AddCookie(&http.Cookie{Name: "c" + strconv.Itoa(i), Value: "v"})
	}
	if r.ContentLength < 0 && random.IntN(2) == 0 {
		r.Trailer = http.Header{"X-Sum": {"sum"}}
	}
	response, err := web.RoundTrip(r)
	if err != nil {
		return "", err
	}
	defer response.Body.Close()
	content, err := io.ReadAll(response.Body)
	if err != nil {
		return "", err
	}
	sum := sha256.Sum256(content)
	delete(response.Header, "Date")
	if len(content) == 0 && method != "HEAD" { // our stream has ended with its head, which tells more
		response.ContentLength = -1
	}
	return fmt.Sprintf("%d %v %d bytes %s, length %d, trailer %v", response.StatusCode, inOrder(response.Header), len(content),
		hex.EncodeToString(sum[:8]), response.ContentLength, inOrder(response.Trailer)), nil
}

func inOrder(header http.Header) (lines []string) {
	for _, name := range slices.Sorted(maps.Keys(header)) {
		sum := sha256.Sum256([]byte(strings.Join(header[name], ",")))
		lines = append(lines, fmt.Sprintf("%s: %.20q %x", name, header[name], sum[:4]))
	}
	return lines
}

func TestCancelledRequestsLeaveTheConnectionInOrder(t *testing.T) {
	address := secure(t, Config{MaxResets: 10_000, Handler: func(e exchange.Exchange) {
		if e.Request().Path == "/good" {
			mirrorBack(e)
			return
		}
		e.Respond(200, nil, -1)
		for {
			if _, err := e.Write(make([]byte, 1000)); err != nil {
				return
			}
		}
	}})
	web := transport(t)
	var asking sync.WaitGroup
	for range 8 {
		asking.Go(func() {
			for range 20 {
				ctx, cancel := context.WithCancel(t.Context())
				r, _ := http.NewRequestWithContext(ctx, "GET", "https://"+address+"/endless", nil)
				response, err := web.RoundTrip(r)
				if err != nil {
					t.Error(err)
					cancel()
					return
				}
				io.CopyN(io.Discard, response.Body, 5000)
				cancel()
				response.Body.Close()
				r, _ = http.NewRequestWithContext(t.Context(), "POST", "https://"+address+"/good", strings.NewReader("body"))
				response, err = web.RoundTrip(r)
				if err != nil {
					t.Error(err)
					return
				}
				if body, err := io.ReadAll(response.Body); string(body) != "body" || err != nil {
					t.Errorf("%q, %v", body, err)
				}
				response.Body.Close()
			}
		})
	}
	asking.Wait()
}

func TestH2load(t *testing.T) {
	path, err := exec.LookPath("h2load")
	if err != nil {
		t.Skip("h2load is not installed")
	}
	address := secure(t, Config{Handler: mirrorBack})
	upload := filepath.Join(t.TempDir(), "upload")
	if err := os.WriteFile(upload, make([]byte, 300<<10), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, arguments := range [][]string{
		{"-n", "5000", "-c", "5", "-m", "50"},
		{"-n", "100", "-c", "3", "-m", "20", "-d", upload},
		{"-n", "50", "-c", "3", "-m", "20", "-w", "12", "-W", "13", "-d", upload},
	} {
		out, err := exec.Command(path, append(arguments, "https://"+address+"/x")...).CombinedOutput()
		if err != nil || !strings.Contains(string(out), " 0 failed, 0 errored, 0 timeout") || !strings.Contains(string(out), " 0 3xx, 0 4xx, 0 5xx") {
			t.Errorf("h2load %q: %v\n%s", arguments, err, out)
		}
	}
}

// TestH2spec wants all of the conformance tests passed, the strict ones too.
func TestH2spec(t *testing.T) {
	path, err := exec.LookPath("h2spec")
	if err != nil {
		t.Skip("h2spec is not installed")
	}
	_, port, _ := net.SplitHostPort(secure(t, Config{Handler: func(e exchange.Exchange) {
		io.Copy(io.Discard, e.Request().Body)
		e.Respond(200, nil, 10)
		io.WriteString(e, "0123456789")
	}}))
	out, err := exec.Command(path, "--timeout", "20", "--strict", "--tls", "--insecure", "--port", port).CombinedOutput()
	if err != nil || !strings.Contains(string(out), " 0 skipped, 0 failed") {
		t.Errorf("h2spec: %v\n%s", err, out)
	}
}
