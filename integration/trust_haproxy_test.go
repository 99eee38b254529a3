package integration

import (
	"bytes"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"testing"
)

// haproxy passes on TCP to two ports of a daemon, saying who connects in the
// given way, and returns where it listens for each.
func haproxy(t *testing.T, d *daemon, how string) (plain, secure string) {
	t.Helper()
	path := peer(t, "haproxy")
	plain, secure = freeAddress(t), freeAddress(t)
	config := fmt.Sprintf(`defaults
  mode tcp
  timeout connect 5s
  timeout client 60s
  timeout server 60s
listen plain
  bind %s
  server s 127.0.0.1:%d %s check inter 200ms
listen secure
  bind %s
  server s 127.0.0.1:%d %s check inter 200ms
`, plain, d.http, how, secure, d.https, how)
	file := filepath.Join(t.TempDir(), "haproxy.cfg")
	if err := os.WriteFile(file, []byte(config), 0o600); err != nil {
		t.Fatal(err)
	}
	startPeer(t, plain, path, "-db", "-f", file)
	return plain, secure
}

// HAProxy's clients, which come from another address than its own, are who the
// app and the log see, and all the ways of bytes through the proxy work.
func TestHAProxyIntroducesItsClients(t *testing.T) {
	for _, how := range []string{"send-proxy", "send-proxy-v2", "send-proxy-v2 proxy-v2-options crc32c,unique-id,ssl,cert-cn"} {
		t.Run(how, func(t *testing.T) {
			d := startDaemon(t, "--proxy-protocol", "--trusted-proxy", "127.0.0.1")
			who := func(mux *http.ServeMux) {
				mux.HandleFunc("/who", func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, r.Header.Get("X-Forwarded-For")) })
				mux.HandleFunc("/echo", func(w http.ResponseWriter, r *http.Request) {
					w.Header().Set("Content-Length", fmt.Sprint(r.ContentLength))
					io.Copy(w, r.Body)
				})
			}
			a := startApp(t, "a", who)
			cert, key, pool := certificate(t, t.TempDir(), "s.example")
			d.must("deploy", "web", "--target", a.target(), "--host", "a.example")
			d.must("deploy", "safe", "--target", a.target(), "--host", "s.example", "--tls", "--tls-certificate-path", cert, "--tls-private-key-path", key)
			plain, secure := haproxy(t, d, how)

			elsewhere := &net.Dialer{LocalAddr: &net.TCPAddr{IP: net.IPv4(127, 0, 0, 2)}}
			transport := &http.Transport{
				ForceAttemptHTTP2: true, TLSClientConfig: &tls.Config{RootCAs: pool},
				Dial: func(network, address string) (net.Conn, error) {
					if _, port, _ := net.SplitHostPort(address); port == "443" {
						return elsewhere.Dial(network, secure)
					}
					return elsewhere.Dial(network, plain)
				},
			}
			defer transport.CloseIdleConnections()
			client := &http.Client{Transport: transport, Timeout: patience}
			big := bytes.Repeat([]byte("0123456789abcdef"), 1<<16)
			for _, site := range []string{"http://a.example", "https://s.example"} {
				response, err := client.Get(site + "/who")
				if err != nil {
					t.Fatal(err)
				}
				if body, err := whole(response); body != "127.0.0.2" || err != nil {
					t.Errorf("%s: the app was told of %q, %v", site, body, err)
				}
				if response, err = client.Post(site+"/echo", "text/plain", bytes.NewReader(big)); err != nil {
					t.Fatal(err)
				}
				if body, err := whole(response); body != string(big) || err != nil {
					t.Errorf("%s: %d bytes came back, %v", site, len(body), err)
				}
			}
			for _, line := range d.requests() {
				if line["client_addr"] != "127.0.0.2" {
					t.Errorf("the log has %v", line["client_addr"])
				}
			}
		})
	}
}
