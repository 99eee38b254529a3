package integration

import (
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"testing"
)

func atoi(t *testing.T, s string) int {
	t.Helper()
	n, err := strconv.Atoi(s)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// entry waits for the access log's line of a path.
func entry(t *testing.T, d *daemon, path string) map[string]any {
	t.Helper()
	var found map[string]any
	eventually(t, "the request of "+path+" is logged", func() error {
		for _, line := range d.requests() {
			if line["path"] == path {
				found = line
				return nil
			}
		}
		return fmt.Errorf("no line")
	})
	return found
}

func has(t *testing.T, e map[string]any, want map[string]any) {
	t.Helper()
	for key, value := range want {
		if fmt.Sprint(e[key]) != fmt.Sprint(value) {
			t.Errorf("%v: %s is %v, want %v", e["path"], key, e[key], value)
		}
	}
}

func TestEntriesOfOddRequests(t *testing.T) {
	d := startDaemon(t)
	a := startApp(t, "a")
	d.must("deploy", "web", "--host", "a.example", "--target", a.target(), "--path-prefix", "/api", "--client-ip-header", "Client-IP")
	d.must("deploy", "quiet", "--host", "b.example", "--target", a.target(), "--forward-headers=false", "--client-ip-header", "Client-IP")

	d.get("nobody.example", "/unknown")
	has(t, entry(t, d, "/unknown"), map[string]any{"service": "", "target": "", "status": 404, "host": "nobody.example"})

	d.get("a.example", "/other")
	has(t, entry(t, d, "/other"), map[string]any{"service": "", "target": "", "status": 404})

	do(t, d.request("POST", "a.example", "/api/chunked", io.MultiReader(strings.NewReader("x"))))
	has(t, entry(t, d, "/api/chunked"), map[string]any{"req_content_length": -1, "service": "web", "method": "POST"})

	d.get("a.example", "/api/caf%C3%A9%2Fx?y=%20")
	has(t, entry(t, d, "/api/café/x"), map[string]any{"query": "y=%20"})

	for path, fields := range map[string]map[string]string{
		"/api/forwarded": {"X-Forwarded-For": "203.0.113.1, 203.0.113.2"},
		"/api/named":     {"X-Forwarded-For": "203.0.113.1", "Client-IP": "203.0.113.9"},
		"/api/peer":      {},
	} {
		r := d.request("GET", "a.example", path, nil)
		for name, value := range fields {
			r.Header.Set(name, value)
		}
		do(t, r)
	}
	has(t, entry(t, d, "/api/forwarded"), map[string]any{"remote_addr": "203.0.113.1, 203.0.113.2", "client_addr": "127.0.0.1"})
	has(t, entry(t, d, "/api/named"), map[string]any{"remote_addr": "203.0.113.9"})
	has(t, entry(t, d, "/api/peer"), map[string]any{"remote_addr": "127.0.0.1"})

	r := d.request("GET", "b.example", "/untrusted", nil)
	r.Header.Set("Client-IP", "203.0.113.9")
	do(t, r)
	has(t, entry(t, d, "/untrusted"), map[string]any{"remote_addr": "203.0.113.9"})

	r = d.request("GET", "b.example", "/untrusted2", nil)
	r.Header.Set("X-Forwarded-For", "203.0.113.1")
	do(t, r)
	has(t, entry(t, d, "/untrusted2"), map[string]any{"remote_addr": "203.0.113.1"})

	do(t, d.request("HEAD", "a.example", "/api/head", nil))
	has(t, entry(t, d, "/api/head"), map[string]any{"resp_content_length": 0, "status": 200, "req_content_length": 0})
}

func TestEntriesHaveWantedHeaders(t *testing.T) {
	d := startDaemon(t)
	a := startApp(t, "a", func(mux *http.ServeMux) {
		mux.HandleFunc("/two", func(w http.ResponseWriter, _ *http.Request) {
			w.Header()["Cache-Control"] = []string{"no-store", "private"}
		})
	})
	d.must("deploy", "web", "--target", a.target(), "--log-request-header", "Cache-Control,Last-Modified", "--log-request-header", "User-Agent",
		"--log-response-header", "cache-control", "--log-response-header", "X-Request-ID")
	r := d.request("GET", "a.example", "/two", nil)
	r.Header["Cache-Control"] = []string{"max-age=0", `say="x"`}
	r.Header.Set("User-Agent", "tester")
	do(t, r)
	has(t, entry(t, d, "/two"), map[string]any{
		"req_cache_control": `max-age=0,say="x"`, "req_last_modified": "", "req_user_agent": "tester",
		"resp_cache_control": "no-store,private", "resp_x_request_id": "",
	})
	d.must("stop", "web")
	d.get("a.example", "/stopped")
	e := entry(t, d, "/stopped")
	has(t, e, map[string]any{"status": 503, "service": "web", "resp_content_type": "text/html; charset=utf-8"})
	if _, there := e["resp_x_request_id"]; !there {
		t.Error("an error page's line lacks a configured header")
	}
}

func TestMetricsLeaveOut(t *testing.T) {
	port := strings.Split(closedPort(t), ":")[1]
	d := startDaemon(t, "--metrics-port", port)
	a := startApp(t, "a")
	d.must("deploy", "web", "--target", a.target(), "--path-prefix", "/api", "--exclude-metrics-path", "/hidden")
	for _, r := range []string{"GET /api/hidden", "GET /api/hidden/x", "BREW /api/pot", "get /api/x", "GET /nobodys"} {
		method, path, _ := strings.Cut(r, " ")
		do(t, d.request(method, "a.example", path, nil))
	}
	eventually(t, "the requests are counted", func() error {
		text, err := fetch(http.DefaultClient, "http://127.0.0.1:"+port+"/metrics")
		if err != nil {
			return err
		}
		for want, there := range map[string]bool{
			`kamal_proxy_http_requests_total{method="GET",service="web",status="200"} 1`:                           true,
			`kamal_proxy_http_requests_total{method="OTHER",service="web",status="200"} 2`:                         true,
			`kamal_proxy_http_request_duration_seconds_bucket{method="GET",service="web",status="200",le="0.005"}`: true,
			`kamal_proxy_http_request_duration_seconds_bucket{method="GET",service="web",status="200",le="10"} 1`:  true,
			`kamal_proxy_http_in_flight_requests{service="web"} 0`:                                                 true,
			`BREW`: false,
		} {
			if strings.Contains(text, want) != there {
				return fmt.Errorf("%s: there is not %v", want, there)
			}
		}
		return nil
	})
}
