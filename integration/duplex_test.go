package integration

import (
	"crypto/tls"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"
)

// A response that streams while its request's body is still under way goes on for
// as long as its target likes, however long the client sends nothing of the rest;
// what it sends then still arrives.
func TestResponsesOutliveTheLimitOfTheirRequestsBody(t *testing.T) {
	t.Parallel()
	d := startDaemon(t, "--body-timeout=500ms", "--http3")
	a := startApp(t, "a", func(mux *http.ServeMux) {
		mux.HandleFunc("/talk", func(w http.ResponseWriter, r *http.Request) {
			http.NewResponseController(w).EnableFullDuplex()
			word := make([]byte, 3)
			io.ReadFull(r.Body, word)
			for range 6 {
				fmt.Fprintf(w, "%s ", word)
				w.(http.Flusher).Flush()
				time.Sleep(300 * time.Millisecond)
			}
			rest, err := io.ReadAll(r.Body)
			fmt.Fprintf(w, "%s %v", rest, err)
		})
	})
	certPath, keyPath, pool := certificate(t, t.TempDir(), "a.example")
	const buffering = "--buffer-responses"
	d.must("deploy", "plain", "--target", a.target(), buffering)
	d.must("deploy", "tls", "--target", a.target(), "--host", "a.example", "--tls",
		"--tls-certificate-path", certPath, "--tls-private-key-path", keyPath)

	oldest := &http.Transport{DialContext: secure(d, pool).Transport.(*http.Transport).DialContext,
		TLSClientConfig: &tls.Config{RootCAs: pool}, TLSNextProto: map[string]func(string, *tls.Conn) http.RoundTripper{}}
	t.Cleanup(oldest.CloseIdleConnections)
	for name, c := range map[string]struct {
		client *http.Client
		base   string
		major  int
	}{
		"HTTP/1.1": {http.DefaultClient, "http://" + d.address(), 1},
		"TLS":      {&http.Client{Transport: oldest}, "https://a.example", 1},
		"HTTP/2":   {secure(d, pool), "https://a.example", 2},
		"HTTP/3":   {overQUIC(t, d, pool), "https://a.example", 3},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			target, _ := url.Parse(c.base + "/talk")
			body, say := io.Pipe()
			defer say.Close()
			go io.WriteString(say, "abc")
			response, err := c.client.Do(&http.Request{Method: http.MethodPost, URL: target, Body: body, ContentLength: -1})
			if err != nil {
				t.Fatal(err)
			}
			defer response.Body.Close()
			heard := make([]byte, len("abc ")*6)
			if _, err := io.ReadFull(response.Body, heard); err != nil || response.ProtoMajor != c.major {
				t.Fatalf("%s: got %q, %v", response.Proto, heard, err)
			}
			io.WriteString(say, "def")
			say.Close()
			rest, err := io.ReadAll(response.Body)
			if got := string(heard) + string(rest); got != strings.Repeat("abc ", 6)+"def <nil>" || err != nil {
				t.Errorf("got %q, %v", got, err)
			}
		})
	}
}
