package integration

import (
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"strings"
	"testing"
	"unicode"
)

// Whatever becomes of a request, and however much is logged, what it has of
// secrets is in no line.
func TestSecretsAreNotLogged(t *testing.T) {
	const hush = "c4n4ry"
	d := startDaemon(t, "--debug")
	dir := t.TempDir()
	cert, key, pool := certificate(t, dir, "s.example")
	a := startApp(t, "a", func(mux *http.ServeMux) {
		mux.HandleFunc("/secrets", func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Set-Cookie", "session="+hush)
			w.Header().Set("X-Token", hush)
			fmt.Fprint(w, hush)
		})
		mux.HandleFunc("/panic", func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) })
	})
	broken := startRaw(t, nil)
	broken.answer = answerHostile(broken)
	d.must("deploy", "web", "--target", a.target(), "--host", "a.example")
	d.must("deploy", "broken", "--target", broken.target(), "--host", "b.example", "--force")
	d.must("deploy", "safe", "--target", a.target(), "--host", "s.example", "--tls", "--tls-certificate-path", cert, "--tls-private-key-path", key)

	secrets := "Authorization: Bearer " + hush + "\r\nCookie: session=" + hush + "\r\nX-API-Key: " + hush + "\r\n"
	for _, request := range []string{
		"GET /secrets HTTP/1.1\r\nHost: a.example\r\n" + secrets + "Connection: close\r\n\r\n",
		"GET /panic HTTP/1.1\r\nHost: a.example\r\n" + secrets + "Connection: close\r\n\r\n",
		"GET /nobody HTTP/1.1\r\nHost: nobody.example\r\n" + secrets + "Connection: close\r\n\r\n",
		"GET /cr HTTP/1.1\r\nHost: b.example\r\n" + secrets + "Connection: close\r\n\r\n",
		"POST /chunks HTTP/1.1\r\nHost: a.example\r\nTransfer-Encoding: chunked\r\n" + secrets + "\r\nx" + hush + "\r\n",
		"GET /blank HTTP/1.1\r\nHost: a.example\r\n" + secrets + "Authorization : " + hush + "\r\n\r\n",
		"GET /control HTTP/1.1\r\nHost: a.example\r\n" + secrets + "X: \x01" + hush + "\r\n\r\n",
		"GET /fold HTTP/1.1\r\nHost: a.example\r\nX: 1\r\n " + hush + "\r\n" + secrets + "\r\n",
		"GET /lengths HTTP/1.1\r\nHost: a.example\r\nContent-Length: 1" + hush + "\r\n" + secrets + "\r\n",
		"GET /coding HTTP/1.1\r\nHost: a.example\r\nTransfer-Encoding: " + hush + "\r\n\r\n",
		hush + "\x00\r\n\r\n",
	} {
		hear(t, d, request)
	}
	for _, path := range []string{"/secrets", "/panic"} {
		request, err := http.NewRequest(http.MethodGet, "https://s.example"+path, strings.NewReader(hush))
		if err != nil {
			t.Fatal(err)
		}
		request.Header.Set("Authorization", "Bearer "+hush)
		request.Header.Set("Cookie", "session="+hush)
		if response, err := secure(d, pool).Do(request); err == nil {
			response.Body.Close()
		}
	}
	entry(t, d, "/cr")
	d.stop()
	log := d.log.String()
	if strings.Count(log, `"DEBUG"`) < 5 {
		t.Error("there are hardly any DEBUG lines: the test shows little")
	}
	if i := strings.Index(log, hush); i >= 0 {
		t.Errorf("a secret is in the log: … %s …", log[max(0, i-300):min(len(log), i+50)])
	}
	pem, err := os.ReadFile(key)
	if err != nil {
		t.Fatal(err)
	}
	if strings.Contains(log, strings.Split(string(pem), "\n")[1]) {
		t.Error("a private key is in the log")
	}
}

// Nothing that a client sends gets out of its place in the log, or into what is
// not logged as a string.
func TestNothingIsInjectedIntoTheLog(t *testing.T) {
	d := startDaemon(t, "--debug")
	d.must("deploy", "web", "--target", startApp(t, "a").target(), "--log-request-header", "X-Odd")
	odd := []string{`","status":999,"x":"`, "\u009b2J", "\u2028", "\u202e", "\xff\xfe", `\n`, "\t", "\\u001b[2J"}
	for _, s := range odd {
		hear(t, d, "GET /x%0A%1B%5B2J"+strings.NewReplacer("\t", "", " ", "").Replace(s)+"?"+strings.ReplaceAll(s, "\t", "")+
			" HTTP/1.1\r\nHost: a.example\r\nUser-Agent: "+s+"\r\nX-Forwarded-For: "+s+"\r\nX-Request-ID: "+s+"\r\nContent-Type: "+s+"\r\nX-Odd: "+s+
			"\r\nConnection: close\r\n\r\n")
		hear(t, d, s+" / HTTP/1.1\r\nHost: "+s+"\r\n\r\n")
	}
	eventually(t, "all are logged", func() error {
		if n := len(d.requests()); n < len(odd) {
			return fmt.Errorf("%d lines", n)
		}
		return nil
	})
	d.stop()
	for line := range strings.Lines(d.log.String()) {
		line = strings.TrimSuffix(line, "\n")
		var fields map[string]any
		if err := json.Unmarshal([]byte(line), &fields); err != nil {
			t.Errorf("%v: %q", err, line)
		}
		if fields["status"] == 999.0 {
			t.Errorf("a client wrote a status: %s", line)
		}
		if strings.ContainsFunc(line, func(r rune) bool {
			return unicode.In(r, unicode.Cc, unicode.Zl, unicode.Zp, unicode.Bidi_Control)
		}) {
			t.Errorf("a terminal would obey %q", line)
		}
	}
}
