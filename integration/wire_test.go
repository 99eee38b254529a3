package integration

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptrace"
	"net/textproto"
	"strings"
	"testing"
	"time"
)

func TestStreamsArePassedOnAtOnce(t *testing.T) {
	for _, flags := range [][]string{nil, {"--buffer-requests", "--buffer-responses"}} {
		for _, kind := range []string{"text/event-stream", "text/plain"} {
			t.Run(fmt.Sprint(flags, kind), func(t *testing.T) { streamsAtOnce(t, kind, "", flags) })
		}
	}
	t.Run("known length", func(t *testing.T) { streamsAtOnce(t, "text/plain", "27", nil) })
}

func streamsAtOnce(t *testing.T, kind, length string, flags []string) {
	d := startDaemon(t)
	seen := make(chan struct{})
	a := startApp(t, "a", func(mux *http.ServeMux) {
		mux.HandleFunc("/stream", func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Type", kind)
			if length != "" {
				w.Header().Set("Content-Length", length)
			}
			for i := range 3 {
				fmt.Fprintf(w, "data: %d\n\n", i)
				w.(http.Flusher).Flush()
				select {
				case <-seen: // the next part only follows when this one has arrived
				case <-r.Context().Done():
					return
				}
			}
		})
	})
	d.must(append([]string{"deploy", "web", "--target", a.target()}, flags...)...)
	response, err := http.Get(d.url("/stream"))
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	lines := bufio.NewReader(response.Body)
	for i := range 3 {
		line, err := lines.ReadString('\n')
		if err != nil || line != fmt.Sprintf("data: %d\n", i) {
			t.Fatalf("part %d: %q, %v", i, line, err)
		}
		if _, err := lines.ReadString('\n'); err != nil {
			t.Fatal(err)
		}
		seen <- struct{}{}
	}
	if rest, err := io.ReadAll(lines); err != nil || len(rest) != 0 {
		t.Errorf("after the last part: %q, %v", rest, err)
	}
}

func TestTrailersBothWays(t *testing.T) {
	d := startDaemon(t)
	a := startApp(t, "a", func(mux *http.ServeMux) {
		mux.HandleFunc("/trailers", func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Trailer", "X-Sum")
			io.Copy(io.Discard, r.Body)
			io.WriteString(w, "body")
			w.Header().Set("X-Sum", "got "+r.Trailer.Get("X-Check"))
		})
	})
	d.must("deploy", "web", "--target", a.target())
	request, err := http.NewRequest(http.MethodPost, d.url("/trailers"), io.MultiReader(strings.NewReader("some "), strings.NewReader("body")))
	if err != nil {
		t.Fatal(err)
	}
	request.Trailer = http.Header{"X-Check": {"42"}}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	if _, err := io.ReadAll(response.Body); err != nil {
		t.Fatal(err)
	}
	if got := response.Trailer.Get("X-Sum"); got != "got 42" {
		t.Errorf("trailer %q, want %q", got, "got 42")
	}
}

func TestInterimResponsesPassWithoutLeaking(t *testing.T) {
	d := startDaemon(t)
	a := startApp(t, "a", func(mux *http.ServeMux) {
		mux.HandleFunc("/hints", func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Link", "</style.css>; rel=preload")
			w.WriteHeader(http.StatusEarlyHints)
			w.Header().Del("Link")
			w.WriteHeader(http.StatusNotFound)
		})
	})
	for _, flags := range [][]string{nil, {"--buffer-requests", "--buffer-responses"}} {
		d.must(append([]string{"deploy", "web", "--target", a.target()}, flags...)...)
		var interim []string
		trace := &httptrace.ClientTrace{Got1xxResponse: func(code int, h textproto.MIMEHeader) error {
			interim = append(interim, fmt.Sprint(code, h.Get("Link")))
			return nil
		}}
		request, err := http.NewRequest(http.MethodGet, d.url("/hints"), nil)
		if err != nil {
			t.Fatal(err)
		}
		response, err := http.DefaultClient.Do(request.WithContext(httptrace.WithClientTrace(request.Context(), trace)))
		if err != nil {
			t.Fatal(err)
		}
		response.Body.Close()
		if len(interim) != 1 || interim[0] != "103</style.css>; rel=preload" {
			t.Errorf("interim responses %q, want the 103 with its Link", interim)
		}
		if response.StatusCode != http.StatusNotFound || response.Header.Get("Link") != "" {
			t.Errorf("final response %d with Link %q, want 404 without", response.StatusCode, response.Header.Get("Link"))
		}
	}
}

func TestClientThatLeavesCancelsTheTargetsRequest(t *testing.T) {
	d := startDaemon(t)
	began, cancelled := make(chan struct{}), make(chan struct{})
	a := startApp(t, "a", func(mux *http.ServeMux) {
		mux.HandleFunc("/wait", func(_ http.ResponseWriter, r *http.Request) {
			close(began)
			<-r.Context().Done()
			close(cancelled)
		})
	})
	d.must("deploy", "web", "--target", a.target())
	conn := dial(t, d)
	fmt.Fprintf(conn, "GET /wait HTTP/1.1\r\nHost: a.example\r\n\r\n")
	within(t, "the request begins", began)
	conn.Close()
	within(t, "the target's request is cancelled", cancelled)
	eventually(t, "the access log says 499", func() error {
		for _, r := range d.requests() {
			if r["path"] == "/wait" && r["status"] == float64(499) {
				return nil
			}
		}
		return fmt.Errorf("no such line")
	})
}

func TestTargetsThatFail(t *testing.T) {
	d := startDaemon(t)
	a := startApp(t, "a")
	d.must("deploy", "slow", "--host", "slow.example", "--target", a.target(), "--target-timeout", "200ms")
	if status, body := d.get("slow.example", "/slow?20s"); status != http.StatusGatewayTimeout || !strings.Contains(body, "504") {
		t.Errorf("a slow target: %d %q", status, body)
	}
	d.must("deploy", "dead", "--host", "dead.example", "--target", closedPort(t), "--force")
	if status, body := d.get("dead.example", "/"); status != http.StatusBadGateway || !strings.Contains(body, "Bad Gateway") {
		t.Errorf("a dead target: %d %q", status, body)
	}
	if status, body := d.get("nobody.example", "/"); status != http.StatusNotFound || !strings.Contains(body, "<html") {
		t.Errorf("an unknown host: %d %q", status, body)
	}
}

func TestPauseHoldsAndResumeReleases(t *testing.T) {
	d := startDaemon(t)
	a := startApp(t, "a")
	d.must("deploy", "web", "--target", a.target())
	d.must("pause", "web")
	answer := make(chan string, 1)
	go func() {
		_, body := d.get("any.host", "/")
		answer <- body
	}()
	if status, _ := d.get("any.host", "/up"); status != http.StatusOK {
		t.Errorf("the health-check path answers %d while paused", status)
	}
	if out, _, _ := d.run("list"); !strings.Contains(out, "paused") {
		t.Errorf("list says %q", out)
	}
	select {
	case body := <-answer:
		t.Fatalf("a request got through the pause: %q", body)
	default:
	}
	d.must("resume", "web")
	if body := <-answer; body != "a" {
		t.Errorf("the held request got %q", body)
	}
	d.must("pause", "web", "--max-pause", "100ms")
	if status, _ := d.get("any.host", "/"); status != http.StatusGatewayTimeout {
		t.Errorf("a request that was held too long got %d, want 504", status)
	}
	d.must("stop", "web", "--message", "Closed <today>")
	if status, body := d.get("any.host", "/"); status != http.StatusServiceUnavailable || !strings.Contains(body, "Closed &lt;today&gt;") {
		t.Errorf("a stopped service: %d %q", status, body)
	}
}

func TestPathPrefixesAreStripped(t *testing.T) {
	d := startDaemon(t)
	echo := func(mux *http.ServeMux) {
		mux.HandleFunc("/api/", func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, "unstripped "+r.RequestURI) })
		mux.HandleFunc("/v1/", func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, r.RequestURI) })
	}
	root, api := startApp(t, "root"), startApp(t, "api", echo)
	d.must("deploy", "root", "--host", "x.example", "--target", root.target())
	d.must("deploy", "api", "--host", "x.example", "--path-prefix", "/api", "--path-prefix", "/café", "--target", api.target())
	for path, want := range map[string]string{
		"/":                   "root",
		"/apiary":             "root",
		"/caf%C3%A9/v1/x":     "/v1/x",
		"/api":                "api",
		"/api/v1/a%2Fb?q=1;2": "/v1/a%2Fb?q=1;2",
	} {
		if _, body := d.get("x.example", path); body != want {
			t.Errorf("GET %s: %q, want %q", path, body, want)
		}
	}
}

func dial(t *testing.T, d *daemon) net.Conn {
	t.Helper()
	conn, err := net.Dial("tcp", d.address())
	if err != nil {
		t.Fatal(err)
	}
	conn.SetDeadline(time.Now().Add(patience))
	t.Cleanup(func() { conn.Close() })
	return conn
}

func within(t *testing.T, what string, done <-chan struct{}) {
	t.Helper()
	select {
	case <-done:
	case <-time.After(patience):
		t.Fatalf("%s: not within %s", what, patience)
	}
}
