package integration

import (
	"bytes"
	"context"
	"crypto/x509"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"
)

// startHTTP3 runs a daemon with HTTP/3, for a.example.
func startHTTP3(t *testing.T) (d *daemon, pool *x509.CertPool, deploy func(*app, ...string)) {
	t.Helper()
	d = startDaemon(t, "--http3")
	certPath, keyPath, pool := certificate(t, t.TempDir(), "a.example")
	return d, pool, func(a *app, more ...string) {
		t.Helper()
		d.must(append([]string{"deploy", "web", "--target", a.target(), "--host", "a.example", "--tls",
			"--tls-certificate-path", certPath, "--tls-private-key-path", keyPath}, more...)...)
	}
}

var altSvc = regexp.MustCompile(`^h3=":(\d+)"; ma=2592000$`)

// A client of HTTP/2 is told of HTTP/3, finds it there, and is forwarded and
// logged as before.
func TestHTTP3IsFoundByAltSvc(t *testing.T) {
	d, pool, deploy := startHTTP3(t)
	seen := make(chan http.Header, 1)
	deploy(startApp(t, "a", func(mux *http.ServeMux) {
		mux.HandleFunc("/seen", func(w http.ResponseWriter, r *http.Request) {
			seen <- r.Header
			io.Copy(w, r.Body)
		})
	}), "--forward-headers=false")

	response, err := secure(d, pool).Get("https://a.example/")
	if err != nil {
		t.Fatal(err)
	}
	response.Body.Close()
	m := altSvc.FindStringSubmatch(response.Header.Get("Alt-Svc"))
	if m == nil || response.ProtoMajor != 2 {
		t.Fatalf("%s answered with Alt-Svc %q", response.Proto, response.Header.Get("Alt-Svc"))
	}
	found := *d
	found.https, _ = strconv.Atoi(m[1])
	request, err := http.NewRequest(http.MethodPost, "https://a.example/seen?q=1;2", strings.NewReader("body"))
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("X-Forwarded-For", "192.0.2.1")
	if response, err = overQUIC(t, &found, pool).Do(request); err != nil {
		t.Fatal(err)
	}
	if body, err := whole(response); body != "body" || err != nil || response.ProtoMajor != 3 {
		t.Errorf("%s: %q, %v", response.Proto, body, err)
	}
	if offer, ok := response.Header["Alt-Svc"]; ok {
		t.Errorf("who came by HTTP/3 is told of it: %q", offer)
	}
	header := <-seen
	for name, want := range map[string]string{
		"X-Forwarded-For": "127.0.0.1", "X-Forwarded-Proto": "https", "X-Forwarded-Host": "a.example", "Content-Length": "4",
	} {
		if got := header.Get(name); got != want {
			t.Errorf("%s is %q, want %q", name, got, want)
		}
	}
	has(t, entry(t, d, "/seen"), map[string]any{
		"proto": "HTTP/3.0", "scheme": "https", "port": d.https, "client_addr": "127.0.0.1", "host": "a.example", "status": 200,
		"service": "web", "query": "q=1;2", "req_content_length": 4, "resp_content_length": 4,
	})
	if strings.Contains(d.log.String(), "buffer size") {
		t.Errorf("the sizes of the socket's buffers are told to everybody:\n%s", d.log.String())
	}
}

func TestDeploysUnderHTTP3LoadLoseNothing(t *testing.T) {
	d, pool, deploy := startHTTP3(t)
	apps := []*app{startApp(t, "blue"), startApp(t, "green")}
	deploy(apps[0], "--buffer-requests", "--buffer-responses")
	client := overQUIC(t, d, pool)
	load := startLoadOf(16, func(*http.Client) (string, error) {
		response, err := client.Post("https://a.example/", "text/plain", strings.NewReader("some text"))
		if err != nil {
			return "", err
		}
		return whole(response)
	})
	for i := range 6 {
		load.awaitMore(t, 200)
		deploy(apps[(i+1)%2], "--buffer-requests", "--buffer-responses")
	}
	load.awaitMore(t, 200)
	load.stop(t)
	if load.by["blue"] == 0 || load.by["green"] == 0 {
		t.Errorf("answers by %v, want some by both", load.by)
	}
	for _, line := range d.requests() {
		if line["proto"] != "HTTP/3.0" {
			t.Fatalf("a request by %v", line["proto"])
		}
	}
}

func TestHTTP3LargeBodiesBothWays(t *testing.T) {
	d, pool, deploy := startHTTP3(t)
	a := startApp(t, "a", func(mux *http.ServeMux) {
		mux.HandleFunc("/back", func(w http.ResponseWriter, r *http.Request) {
			body, _ := io.ReadAll(r.Body)
			w.Header().Set("Content-Length", strconv.Itoa(len(body)))
			w.Write(body)
		})
	})
	client := overQUIC(t, d, pool)
	large := bytes.Repeat([]byte("0123456789abcdef"), 10<<16) // 10 MiB
	for _, more := range [][]string{nil, {"--buffer-requests", "--buffer-responses"}} {
		deploy(a, more...)
		response, err := client.Post("https://a.example/back", "text/plain", bytes.NewReader(large))
		if err != nil {
			t.Fatal(err)
		}
		if body, err := whole(response); err != nil || body != string(large) {
			t.Errorf("%d bytes came back, %v", len(body), err)
		}
	}
}

func TestHTTP3RequestsEndWithTheDaemon(t *testing.T) {
	d, pool, deploy := startHTTP3(t)
	a := startApp(t, "a")
	deploy(a)
	client := overQUIC(t, d, pool)
	answered := make(chan error, 1)
	go func() {
		body, err := fetch(client, "https://a.example/slow?1s")
		if err == nil && body != "a" {
			err = fmt.Errorf("got %q", body)
		}
		answered <- err
	}()
	eventually(t, "the request arrives", func() error {
		if a.served.Load() == 0 {
			return fmt.Errorf("not yet")
		}
		return nil
	})
	begun := time.Now()
	d.stop()
	if err := <-answered; err != nil {
		t.Error(err)
	}
	if took := awake(begun); took > 5*time.Second {
		t.Errorf("the daemon took %s to end", took)
	}
}

// A client that leaves is the target's to know at once.
func TestHTTP3ClientThatLeavesCancelsTheTargetsRequest(t *testing.T) {
	d, pool, deploy := startHTTP3(t)
	begun, gone := make(chan struct{}), make(chan struct{})
	deploy(startApp(t, "a", func(mux *http.ServeMux) {
		mux.HandleFunc("/hang", func(_ http.ResponseWriter, r *http.Request) {
			close(begun)
			<-r.Context().Done()
			close(gone)
		})
	}))
	ctx, leave := context.WithCancel(t.Context())
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "https://a.example/hang", nil)
	if err != nil {
		t.Fatal(err)
	}
	go func() {
		<-begun
		leave()
	}()
	if response, err := overQUIC(t, d, pool).Do(request); err == nil {
		response.Body.Close()
		t.Error("the request was answered")
	}
	select {
	case <-gone:
	case <-time.After(patience):
		t.Fatal("the target does not learn of it")
	}
	has(t, entry(t, d, "/hang"), map[string]any{"status": 499})
}

func TestHTTP3PortInUse(t *testing.T) {
	port := strconv.Itoa(portTakenForUDP(t))
	d := &daemon{t: t, home: shortTempDir(t)}
	d.refused("UDP port "+port, "run", "--http3", "--http-port", "0", "--https-port", port)
	d.refused("--https-port", "run", "--http3", "--http-port", "0", "--https-port", port)
}

// portTakenForUDP is a port that is in use for UDP alone. It is none of those
// that the kernel gives to whoever asks for any.
func portTakenForUDP(t *testing.T) int {
	t.Helper()
	for port := 20000 + os.Getpid()%10000; port < 32000; port++ {
		taken, err := net.ListenUDP("udp", &net.UDPAddr{Port: port})
		if err != nil {
			continue
		}
		if free, err := net.Listen("tcp", fmt.Sprintf(":%d", port)); err == nil {
			free.Close()
			t.Cleanup(func() { taken.Close() })
			return port
		}
		taken.Close()
	}
	t.Fatal("no port is free")
	return 0
}
