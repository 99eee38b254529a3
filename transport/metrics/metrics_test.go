package metrics

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"
	"unsafe"
)

func scrape(t *testing.T, m *Metrics) string {
	t.Helper()
	w := httptest.NewRecorder()
	m.Handler().ServeHTTP(w, httptest.NewRequest("GET", "/metrics", nil))
	if w.Code != 200 {
		t.Fatalf("status %d: %s", w.Code, w.Body)
	}
	return w.Body.String()
}

func has(t *testing.T, text string, lines ...string) {
	t.Helper()
	for _, line := range lines {
		if !strings.Contains(text, line+"\n") {
			t.Errorf("no line %q", line)
		}
	}
}

func TestRequestsAreCounted(t *testing.T) {
	m := New()
	m.Begin("web")
	m.Begin("web")
	m.Begin("web")
	m.End("web", "GET", 200, 20*time.Millisecond)
	m.End("web", "BREW", 418, 3*time.Second)
	has(t, scrape(t, m),
		`kamal_proxy_http_in_flight_requests{service="web"} 1`,
		`kamal_proxy_http_requests_total{method="GET",service="web",status="200"} 1`,
		`kamal_proxy_http_requests_total{method="OTHER",service="web",status="418"} 1`,
		`kamal_proxy_http_request_duration_seconds_bucket{method="GET",service="web",status="200",le="0.01"} 0`,
		`kamal_proxy_http_request_duration_seconds_bucket{method="GET",service="web",status="200",le="0.025"} 1`,
		`kamal_proxy_http_request_duration_seconds_bucket{method="GET",service="web",status="200",le="10"} 1`,
		`kamal_proxy_http_request_duration_seconds_sum{method="OTHER",service="web",status="418"} 3`)
}

func TestKnownMethods(t *testing.T) {
	for _, method := range strings.Fields("GET HEAD POST PUT PATCH DELETE OPTIONS TRACE CONNECT") {
		if got := methodOf(method); string(got) != method {
			t.Errorf("%s counts as %s", method, got)
		}
	}
	for _, method := range []string{"", "get", "PROPFIND"} {
		if got := methodOf(method); got != "OTHER" {
			t.Errorf("%q counts as %s", method, got)
		}
	}
}

// Requests come as views of buffers that are used again.
func TestMethodsAreNotKept(t *testing.T) {
	m := New()
	buffer := []byte("GET")
	for _, method := range []string{"GET", "PUT", "GET"} {
		copy(buffer, method)
		m.Begin("web")
		m.End("web", unsafe.String(&buffer[0], len(buffer)), 200, time.Millisecond)
	}
	copy(buffer, "XXX")
	has(t, scrape(t, m),
		`kamal_proxy_http_requests_total{method="GET",service="web",status="200"} 2`,
		`kamal_proxy_http_requests_total{method="PUT",service="web",status="200"} 1`)
}

func TestRetriesAndEjectionsAreCounted(t *testing.T) {
	m := New()
	m.Begin("web")
	has(t, scrape(t, m), `kamal_proxy_http_retries_total{service="web"} 0`, `kamal_proxy_target_ejections_total{service="web"} 0`)
	m.Retry("web")
	m.Retry("web")
	m.Retry("never seen")
	m.Ejected("api")
	text := scrape(t, m)
	has(t, text, `kamal_proxy_http_retries_total{service="web"} 2`, `kamal_proxy_target_ejections_total{service="api"} 1`)
	if strings.Contains(text, "never seen") {
		t.Error("a service that is not there is counted")
	}
	m.Forget("web")
	m.Forget("api")
	if text := scrape(t, m); strings.Contains(text, `"web"`) || strings.Contains(text, `"api"`) {
		t.Error("something is left of services that are gone")
	}
}

func TestForgottenServicesLeaveNothing(t *testing.T) {
	m := New()
	for _, name := range []string{"web", "api"} {
		m.Begin(name)
		m.End(name, "GET", 200, time.Millisecond)
	}
	m.Begin("web")
	m.Forget("web")
	m.Forget("never seen")
	m.End("web", "GET", 200, time.Millisecond)
	text := scrape(t, m)
	if strings.Contains(text, `"web"`) {
		t.Error("web has series")
	}
	has(t, text, `kamal_proxy_http_requests_total{method="GET",service="api",status="200"} 1`)

	m.Begin("web")
	has(t, scrape(t, m), `kamal_proxy_http_in_flight_requests{service="web"} 1`)
}

func TestAnEndThatMeetsForgetLeavesNothing(t *testing.T) {
	m := New()
	s := m.service("web")
	m.Forget("web")
	m.outcome(s, kindOf("GET", 200)).requests.Inc()
	if strings.Contains(scrape(t, m), `"web"`) {
		t.Error("web has series")
	}
}

func TestManyGoroutines(t *testing.T) {
	m := New()
	var group sync.WaitGroup
	for g := range 8 {
		group.Go(func() {
			for i := range 300 {
				name := fmt.Sprint("s", i%100)
				m.Begin(name)
				m.End(name, "GET", 200+g%2, time.Millisecond)
				if i%50 == 0 {
					m.Forget(fmt.Sprint("other", g))
				}
			}
		})
	}
	group.Wait()
	has(t, scrape(t, m),
		`kamal_proxy_http_in_flight_requests{service="s7"} 0`,
		`kamal_proxy_http_requests_total{method="GET",service="s7",status="200"} 12`,
		`kamal_proxy_http_requests_total{method="GET",service="s7",status="201"} 12`)
}

func TestInjectedAndStandardMetrics(t *testing.T) {
	m := New()
	m.Counter("kamal_proxy_actor_panics_total", "Panics.", func() uint64 { return 7 })
	m.Gauge("kamal_proxy_services", "Services.", func() float64 { return 1.5 })
	text := scrape(t, m)
	has(t, text, "kamal_proxy_actor_panics_total 7", "# TYPE kamal_proxy_actor_panics_total counter", "kamal_proxy_services 1.5")
	if !strings.Contains(text, "go_goroutines ") || !strings.Contains(text, "process_open_fds ") {
		t.Error("nothing of Go or of the process")
	}
}

func TestNamesThatAreNoUTF8(t *testing.T) {
	m := New()
	m.Begin("a\xff")
	m.End("a\xff", "GET", 200, 0)
	has(t, scrape(t, m), `kamal_proxy_http_in_flight_requests{service="a`+"\uFFFD"+`"} 0`)
}

func TestServe(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	served := make(chan error, 1)
	go func() { served <- Serve(ctx, listener, New()) }()

	client := &http.Client{Timeout: 30 * time.Second}
	defer client.CloseIdleConnections()
	for path, want := range map[string]int{"/metrics": 200, "/": 404} {
		response, err := client.Get("http://" + listener.Addr().String() + path)
		if err != nil {
			t.Fatal(err)
		}
		body, _ := io.ReadAll(response.Body)
		response.Body.Close()
		if response.StatusCode != want || want == 200 && !strings.Contains(string(body), "go_goroutines") {
			t.Errorf("%s: %d", path, response.StatusCode)
		}
	}
	cancel()
	if err := <-served; err != nil {
		t.Error(err)
	}
	if _, err := net.Dial("tcp", listener.Addr().String()); err == nil {
		t.Error("it still listens")
	}

	if err := Serve(context.Background(), listener, New()); err == nil {
		t.Error("serving on a closed listener is no error")
	}
}

func TestCountingAllocatesNothing(t *testing.T) {
	m := New()
	count := func() {
		m.Begin("web")
		m.End("web", "GET", 200, time.Millisecond)
	}
	count()
	if n := testing.AllocsPerRun(100, count); n > 0 {
		t.Errorf("%v allocations", n)
	}
}

func BenchmarkBeginEnd(b *testing.B) {
	m := New()
	b.ReportAllocs()
	for b.Loop() {
		m.Begin("web")
		m.End("web", "GET", 200, time.Millisecond)
	}
}
