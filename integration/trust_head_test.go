package integration

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
)

// hostileHeads are what targets may answer with, by the path that they are asked
// for. want is what clients get; empty: 502.
var hostileHeads = map[string]struct {
	head string
	want string
}{
	"cr":             {"HTTP/1.1 200 OK\r\nX: a\rSet-Cookie: b=1\r\nContent-Length: 2\r\n\r\n", ""},
	"lf":             {"HTTP/1.1 200 OK\r\nX: a\nSet-Cookie: b=1\r\nContent-Length: 2\r\n\r\n", ""},
	"nul":            {"HTTP/1.1 200 OK\r\nX: a\x00b\r\nContent-Length: 2\r\n\r\n", ""},
	"escape":         {"HTTP/1.1 200 OK\r\nX: \x1b[31m\r\nContent-Length: 2\r\n\r\n", ""},
	"del":            {"HTTP/1.1 200 OK\r\nX: \x7f\r\nContent-Length: 2\r\n\r\n", ""},
	"cookie":         {"HTTP/1.1 200 OK\r\nSet-Cookie: a=\x01; Path=/\r\nContent-Length: 2\r\n\r\n", ""},
	"fold":           {"HTTP/1.1 200 OK\r\nX: a\r\n Set-Cookie: b=1\r\nContent-Length: 2\r\n\r\n", ""},
	"pseudo":         {"HTTP/1.1 200 OK\r\n:status: 204\r\nContent-Length: 2\r\n\r\n", ""},
	"colon":          {"HTTP/1.1 200 OK\r\n: x\r\nContent-Length: 2\r\n\r\n", ""},
	"blank-in-name":  {"HTTP/1.1 200 OK\r\nX Y: 1\r\nContent-Length: 2\r\n\r\n", ""},
	"blank-at-colon": {"HTTP/1.1 200 OK\r\nTransfer-Encoding : chunked\r\nContent-Length: 2\r\n\r\n", ""},
	"utf8-name":      {"HTTP/1.1 200 OK\r\nX\xc3\xa9: 1\r\nContent-Length: 2\r\n\r\n", ""},
	"two-framings":   {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nContent-Length: 2\r\n\r\n", ""},
	"two-lengths":    {"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\n", ""},
	"list-of-length": {"HTTP/1.1 200 OK\r\nContent-Length: 2, 2\r\n\r\n", ""},
	"signed-length":  {"HTTP/1.1 200 OK\r\nContent-Length: +2\r\n\r\n", ""},
	"coding":         {"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\n", ""},
	"old-chunked":    {"HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", ""},
	"reason":         {"HTTP/1.1 200 O\x00K\r\nContent-Length: 2\r\n\r\n", ""},
	"status":         {"HTTP/1.1 20 OK\r\nContent-Length: 2\r\n\r\n", ""},
	"version":        {"HTTP/2.0 200 OK\r\nContent-Length: 2\r\n\r\n", ""},
	"switch":         {"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\n", ""},
	"large":          {"HTTP/1.1 200 OK\r\nX: " + strings.Repeat("x", 300<<10) + "\r\nContent-Length: 2\r\n\r\n", ""},
	"many":           {"HTTP/1.1 200 OK\r\n" + strings.Repeat("X: 1\r\n", 5000) + "Content-Length: 2\r\n\r\n", ""},
	"interim":        {strings.Repeat("HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n", 200), ""},

	"hop": {"HTTP/1.1 200 OK\r\nConnection: close, X-Hop, Date, Server\r\nX-Hop: 1\r\nServer: x\r\nKeep-Alive: timeout=1\r\nProxy-Connection: x\r\n" +
		"Proxy-Authenticate: Basic\r\nProxy-Authentication-Info: x\r\nUpgrade: h2c\r\nTE: x\r\nTrailer: X-T\r\nX-Kept: 1\r\nContent-Length: 2\r\n\r\nok", "ok"},
	"own": {"HTTP/1.1 200 OK\r\nDate: Thu, 01 Jan 1970 00:00:00 GMT\r\nAlt-Svc: clear\r\nserver: mine\r\nX-KEPT: 1\r\nContent-Length: 2\r\n\r\nok", "ok"},
	"obs": {"HTTP/1.1 200 OK\r\nX-Kept: \x80\xff\xc2\x9b\r\nContent-Length: 2\r\n\r\nok", "ok"},
}

// answerHostile answers as the path says.
func answerHostile(target *rawTarget) func(net.Conn, *bufio.Reader) {
	return func(c net.Conn, _ *bufio.Reader) {
		target.mu.Lock()
		path := strings.TrimPrefix(strings.Fields(target.heads[len(target.heads)-1])[1], "/")
		target.mu.Unlock()
		if answer, hostile := hostileHeads[path]; hostile {
			io.WriteString(c, answer.head)
			c.Close()
			return
		}
		io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\ngood")
	}
}

func TestNoHeadOfATargetBreaksAResponse(t *testing.T) {
	d := startDaemon(t, "--http3")
	raw := startRaw(t, nil)
	raw.answer = answerHostile(raw)
	cert, key, pool := certificate(t, t.TempDir(), "s.example")
	d.must("deploy", "web", "--target", raw.target(), "--path-prefix", "/app", "--scope-cookie-paths")
	d.must("deploy", "safe", "--target", raw.target(), "--host", "s.example", "--tls", "--tls-certificate-path", cert, "--tls-private-key-path", key)
	h2, h3 := secure(d, pool), overQUIC(t, d, pool)

	for path, hostile := range hostileHeads {
		want := "200"
		if hostile.want == "" {
			want = "502"
		}
		answer := say(t, d, "GET /app/"+path+" HTTP/1.1\r\nHost: a.example\r\n\r\nGET /app/good HTTP/1.1\r\nHost: a.example\r\nConnection: close\r\n\r\n")
		for strings.HasPrefix(answer, "HTTP/1.1 103") {
			_, answer, _ = strings.Cut(answer, "\r\n\r\n")
		}
		head, rest, _ := strings.Cut(answer, "\r\n\r\n")
		if status(head) != want || strings.Count(answer, "HTTP/1.1 ") != 2 || !strings.HasSuffix(answer, "\r\n\r\ngood") {
			t.Errorf("%s: got %.80q … %.80q, want %s, and then good", path, head, tail(rest, 80), want)
		}
		checkHead(t, path+", HTTP/1.1", func(name string) []string { return field(head+"\r\n", name) }, hostile.want != "")

		for _, client := range []*http.Client{h2, h3} {
			if client == h3 && path == "interim" {
				continue // quic-go takes no more than five of these
			}
			response, err := client.Get("https://s.example/" + path)
			if err != nil {
				t.Errorf("%s: %v", path, err)
				continue
			}
			body, err := io.ReadAll(response.Body)
			response.Body.Close()
			if fmt.Sprint(response.StatusCode) != want || err != nil || hostile.want != "" && string(body) != hostile.want {
				t.Errorf("%s, %s: %d %.60q, %v, want %s", path, response.Proto, response.StatusCode, body, err, want)
			}
			checkHead(t, path+", "+response.Proto, response.Header.Values, hostile.want != "")
		}
	}
}

// checkHead looks for what no response must have, or must have once.
func checkHead(t *testing.T, what string, values func(string) []string, passed bool) {
	t.Helper()
	for _, name := range []string{"X-Hop", "Keep-Alive", "Proxy-Connection", "Proxy-Authenticate", "Proxy-Authentication-Info", "Upgrade", "TE",
		"Trailer", "Transfer-Encoding", "Set-Cookie", "X"} {
		if got := values(name); len(got) > 0 {
			t.Errorf("%s: %s is %.60q", what, name, got)
		}
	}
	for _, name := range []string{"Date", "Content-Length", "Alt-Svc"} {
		if got := values(name); len(got) > 1 || name == "Date" && len(got) == 0 {
			t.Errorf("%s: %s is %q", what, name, got)
		}
	}
	if got := values("X-Kept"); passed && len(got) != 1 {
		t.Errorf("%s: what is the app's is %q", what, got)
	}
	if got := values("Server"); strings.Contains(strings.Join(got, ""), "kamal") || !passed && len(got) > 0 {
		t.Errorf("%s: Server is %q", what, got)
	}
}

// Trailers cannot say what belongs in a head, and those that cannot be sent end
// the response in a way that its client sees.
func TestNoTrailerOfATargetBreaksAResponse(t *testing.T) {
	d := startDaemon(t, "--http3")
	const chunked = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: X-Sum, Set-Cookie, Content-Length\r\n\r\n2\r\nok\r\n0\r\n"
	raw := startRaw(t, func(c net.Conn, _ *bufio.Reader) {})
	raw.answer = func(c net.Conn, _ *bufio.Reader) {
		raw.mu.Lock()
		path := strings.Fields(raw.heads[len(raw.heads)-1])[1]
		raw.mu.Unlock()
		io.WriteString(c, chunked+map[string]string{
			"/odd": "Content-Length: 9\r\nTransfer-Encoding: chunked\r\nSet-Cookie: a=1\r\nConnection: close\r\nHost: x\r\nX-Forwarded-For: x\r\n" +
				"Keep-Alive: x\r\nUpgrade: x\r\nProxy-Authenticate: x\r\nX-Sum: 2\r\n\r\n",
			"/control": "X-Sum: \x00\r\n\r\n",
			"/pseudo":  ":status: 500\r\n\r\n",
			"/fold":    "X-Sum: 1\r\n 2\r\n\r\n",
			"/large":   "X-Sum: " + strings.Repeat("x", 300<<10) + "\r\n\r\n",
		}[path])
		c.Close()
	}
	cert, key, pool := certificate(t, t.TempDir(), "s.example")
	d.must("deploy", "web", "--target", raw.target(), "--host", "a.example", "--force")
	d.must("deploy", "safe", "--target", raw.target(), "--host", "s.example", "--tls", "--tls-certificate-path", cert, "--tls-private-key-path", key, "--force")
	plain := &http.Client{Timeout: patience, Transport: &http.Transport{
		Dial: func(network, _ string) (net.Conn, error) { return net.Dial(network, d.address()) },
	}}
	for site, client := range map[string]*http.Client{"http://a.example": plain, "https://s.example": secure(d, pool), "https://s.example#3": overQUIC(t, d, pool)} {
		for _, path := range []string{"/odd", "/control", "/pseudo", "/fold", "/large"} {
			response, err := client.Get(strings.TrimSuffix(site, "#3") + path)
			if err != nil {
				if path == "/odd" {
					t.Errorf("%s: %v", site, err)
				}
				continue // it was broken off before its head was read
			}
			body, err := io.ReadAll(response.Body)
			response.Body.Close()
			if path != "/odd" {
				if err == nil && response.StatusCode == http.StatusOK {
					t.Errorf("%s, %s: a response that is broken off looks whole: %q", path, response.Proto, body)
				}
				continue
			}
			sum := response.Trailer.Get("X-Sum")
			response.Trailer.Del("X-Sum")
			for name, values := range response.Trailer {
				if len(values) > 0 {
					t.Errorf("%s: the trailer has %s: %q", response.Proto, name, values)
				}
			}
			if err != nil || string(body) != "ok" || sum != "2" {
				t.Errorf("%s: %q, %v, X-Sum %q", response.Proto, body, err, sum)
			}
		}
	}
	plain.CloseIdleConnections()
}
