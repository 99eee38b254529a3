package integration

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"
)

// servedBy sends a request with the cookies given, and returns who answered.
func servedBy(t *testing.T, d *daemon, method string, cookies ...*http.Cookie) (string, *http.Response) {
	t.Helper()
	request := d.request(method, "any.host", "/", nil)
	for _, c := range cookies {
		request.AddCookie(c)
	}
	response, _ := do(t, request)
	return response.Header.Get("X-App"), response
}

func TestReadersServeReads(t *testing.T) {
	d := startDaemon(t)
	writer, reader := startApp(t, "writer"), startApp(t, "reader")
	d.must("deploy", "web", "--target", writer.target(), "--read-target", reader.target(), "--health-check-interval", "20ms")
	until := func(d time.Duration) *http.Cookie {
		return &http.Cookie{Name: "kamal-writer", Value: strconv.FormatInt(time.Now().Add(d).UnixMilli(), 10)}
	}
	for _, c := range []struct {
		method string
		cookie *http.Cookie
		want   string
	}{
		{"GET", nil, "reader"},
		{"HEAD", nil, "reader"},
		{"POST", nil, "writer"},
		{"DELETE", nil, "writer"},
		{"OPTIONS", nil, "writer"},
		{"GET", until(time.Hour), "writer"},
		{"HEAD", until(time.Hour), "writer"},
		{"GET", until(-time.Second), "reader"},
		{"GET", &http.Cookie{Name: "kamal-writer", Value: "soon"}, "reader"},
		{"GET", &http.Cookie{Name: "kamal-writer", Value: "99999999999999999999999"}, "reader"},
	} {
		var cookies []*http.Cookie
		if c.cookie != nil {
			cookies = append(cookies, c.cookie)
		}
		if by, _ := servedBy(t, d, c.method, cookies...); by != c.want {
			t.Errorf("%s with %v went to %q, want %s", c.method, c.cookie, by, c.want)
		}
	}
	if out, _, _ := d.run("list"); !strings.Contains(out, writer.target()+","+reader.target()) {
		t.Errorf("list does not show the writers, then the readers:\n%s", out)
	}

	reader.healthy.Store(false)
	eventually(t, "without a healthy reader the writers serve", func() error {
		if by, _ := servedBy(t, d, "GET"); by != "writer" {
			return fmt.Errorf("%q did", by)
		}
		return nil
	})
	reader.healthy.Store(true)
	eventually(t, "the reader comes back", func() error {
		if by, _ := servedBy(t, d, "GET"); by != "reader" {
			return fmt.Errorf("%q serves", by)
		}
		return nil
	})
}

func TestWriterCookie(t *testing.T) {
	d := startDaemon(t)
	affinity := func(mux *http.ServeMux) {
		mux.HandleFunc("/unwanted", func(w http.ResponseWriter, _ *http.Request) { w.Header().Set("X-Writer-Affinity", "false") })
		mux.HandleFunc("/wanted", func(w http.ResponseWriter, _ *http.Request) { w.Header().Set("X-Writer-Affinity", "true") })
	}
	writer, reader := startApp(t, "writer", affinity), startApp(t, "reader", affinity)
	deploy := func(flags ...string) {
		d.must(append([]string{"deploy", "web", "--target", writer.target()}, flags...)...)
	}
	cookie := func(method, path string) *http.Cookie {
		t.Helper()
		response, _ := do(t, d.request(method, "any.host", path, nil))
		if v := response.Header.Get("X-Writer-Affinity"); v != "" {
			t.Errorf("%s %s: X-Writer-Affinity: %s is passed on", method, path, v)
		}
		for _, c := range response.Cookies() {
			if c.Name == "kamal-writer" {
				return c
			}
		}
		return nil
	}

	deploy("--read-target", reader.target(), "--writer-affinity-timeout", "1h")
	before := time.Now()
	c := cookie("POST", "/")
	if c == nil {
		t.Fatal("a write sets no kamal-writer")
	}
	ms, err := strconv.ParseInt(c.Value, 10, 64)
	until := time.UnixMilli(ms)
	if err != nil || until.Before(before.Add(time.Hour-time.Second)) || until.After(time.Now().Add(time.Hour)) {
		t.Errorf("kamal-writer is %s, want the unix milliseconds in an hour", c.Value)
	}
	if gap := c.Expires.Sub(until); c.Path != "/" || !c.HttpOnly || gap <= 0 || gap > time.Second {
		t.Errorf("%v, want Path=/, HttpOnly, and Expires one second later than its value", c)
	}
	if cookie("POST", "/wanted") == nil {
		t.Error("X-Writer-Affinity: true took the cookie away")
	}
	for _, request := range []string{"POST /unwanted", "GET /", "HEAD /", "GET /unwanted"} {
		method, path, _ := strings.Cut(request, " ")
		if c := cookie(method, path); c != nil {
			t.Errorf("%s sets %v", request, c)
		}
	}

	deploy("--read-target", reader.target(), "--writer-affinity-timeout", "0s")
	if c := cookie("POST", "/"); c != nil {
		t.Errorf("with a timeout of 0 a write sets %v", c)
	}
	deploy()
	if c := cookie("POST", "/wanted"); c != nil {
		t.Errorf("without readers a write sets %v", c)
	}
}

func TestWebSocketsGoToWritersUnlessTold(t *testing.T) {
	d := startDaemon(t)
	says := func(name string) func(*http.ServeMux) {
		return switching("websocket", func(c net.Conn, _ *bufio.Reader) { io.WriteString(c, name+"\n") })
	}
	writer, reader := startApp(t, "writer", says("writer")), startApp(t, "reader", says("reader"))
	for want, flags := range map[string][]string{"writer": nil, "reader": {"--read-target-websockets"}} {
		d.must(append([]string{"deploy", "web", "--target", writer.target(), "--read-target", reader.target()}, flags...)...)
		_, r := upgrade(t, d, "websocket")
		if name, err := r.ReadString('\n'); name != want+"\n" {
			t.Errorf("with %v the WebSocket went to %q (%v), want %s", flags, name, err, want)
		}
	}
}
