package integration

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"
)

func TestHeldRequestsAreBounded(t *testing.T) {
	d := startDaemon(t, "--max-held", "2")
	a := startApp(t, "a")
	d.must("deploy", "web", "--target", a.target())
	d.must("pause", "web")
	type result struct {
		status int
		retry  string
	}
	results := make(chan result)
	for range 3 {
		go func() {
			response, err := http.Get(d.url("/"))
			if err != nil {
				results <- result{}
				return
			}
			response.Body.Close()
			results <- result{response.StatusCode, response.Header.Get("Retry-After")}
		}()
	}
	if shed := <-results; shed.status != http.StatusServiceUnavailable || shed.retry == "" {
		t.Errorf("one too many got %+v, want 503 with Retry-After", shed)
	}
	d.must("resume", "web")
	for range 2 {
		if held := <-results; held.status != http.StatusOK {
			t.Errorf("a held request got %+v", held)
		}
	}
}

func TestHeldRequestGoesWithItsClient(t *testing.T) {
	d := startDaemon(t, "--max-held", "1")
	a := startApp(t, "a")
	d.must("deploy", "web", "--target", a.target())
	d.must("pause", "web")
	hold := func() net.Conn {
		c := dial(t, d)
		fmt.Fprint(c, "GET / HTTP/1.1\r\nHost: a.example\r\nConnection: close\r\n\r\n")
		return c
	}
	first := hold()
	if !pending(first) {
		t.Fatal("the first request is not held")
	}
	if said, err := io.ReadAll(hold()); err != nil || status(string(said)) != "503" {
		t.Fatalf("a second request got %.40q, %v, want 503", said, err)
	}
	first.Close()
	eventually(t, "the place is free again", func() error {
		c := hold()
		if !pending(c) {
			return fmt.Errorf("it is taken")
		}
		d.must("resume", "web")
		if said, err := io.ReadAll(c); err != nil || status(string(said)) != "200" {
			d.must("pause", "web")
			return fmt.Errorf("it got %.40q, %v", said, err)
		}
		return nil
	})
}

func TestRemoveAnswersHeldRequests(t *testing.T) {
	d := startDaemon(t)
	a := startApp(t, "a")
	d.must("deploy", "web", "--target", a.target())
	d.must("pause", "web")
	c := dial(t, d)
	fmt.Fprint(c, "GET / HTTP/1.1\r\nHost: a.example\r\nConnection: close\r\n\r\n")
	if !pending(c) {
		t.Fatal("the request is not held")
	}
	d.must("remove", "web")
	if said, err := io.ReadAll(c); err != nil || status(string(said)) != "404" {
		t.Errorf("a held request of a removed service got %.40q, %v, want 404", said, err)
	}
}

func TestPausesKeepTheirOwnLimits(t *testing.T) {
	t.Parallel()
	d := startDaemon(t)
	a := startApp(t, "a")
	d.must("deploy", "web", "--target", a.target())
	d.must("pause", "web", "--max-pause", "4s")
	c := dial(t, d)
	began := time.Now()
	fmt.Fprint(c, "GET / HTTP/1.1\r\nHost: a.example\r\nConnection: close\r\n\r\n")
	if !pending(c) {
		t.Fatal("the request is not held")
	}
	d.must("pause", "web", "--max-pause", "1h")
	said, err := io.ReadAll(c)
	if took := time.Since(began); err != nil || status(string(said)) != "504" || took > 15*time.Second || took < 3900*time.Millisecond {
		t.Errorf("a request held by a pause of 4s got %.40q after %s, %v, want 504 after it", said, took, err)
	}
}

func TestHealthPathAnswersWhileStopped(t *testing.T) {
	d := startDaemon(t)
	a := startApp(t, "a", func(mux *http.ServeMux) { mux.HandleFunc("/health/live", func(http.ResponseWriter, *http.Request) {}) })
	d.must("deploy", "web", "--target", a.target(), "--path-prefix", "/api", "--health-check-path", "health/live?probe=1")
	checks := a.served.Load()
	for _, order := range []string{"pause", "stop"} {
		d.must(order, "web")
		for _, method := range []string{"GET", "HEAD"} {
			for _, path := range []string{"/api/health/live", "/api/health/live?x=y"} {
				if head, body := ask(t, d, method+" "+path, "x.example"); status(head) != "200" || body != "" {
					t.Errorf("%s %s while %s: %s %q, want 200 by itself", method, path, order, status(head), body)
				}
			}
		}
	}
	for _, line := range []string{"POST /api/health/live", "GET /api/health/live/x", "GET /api/", "HEAD /api/x"} {
		if head, _ := ask(t, d, line, "x.example"); status(head) != "503" {
			t.Errorf("%s while stopped: %s, want 503", line, status(head))
		}
	}
	if a.served.Load() != checks {
		t.Error("the app was asked")
	}
}

func TestHealthPathIsComparedAsRequestsHaveIt(t *testing.T) {
	d := startDaemon(t)
	a := startApp(t, "a")
	d.must("deploy", "web", "--target", a.target(), "--health-check-path", "/é a#b")
	d.must("stop", "web")
	if head, _ := ask(t, d, "GET /%C3%A9%20a%23b", "x.example"); status(head) != "200" {
		t.Errorf("%s, want 200", status(head))
	}
}

func TestStopAndItsMessage(t *testing.T) {
	d := startDaemon(t)
	a, b := startApp(t, "a"), startApp(t, "b")
	d.must("deploy", "web", "--target", a.target())
	shows := func(want string) {
		t.Helper()
		if code, body := d.get("any.host", "/"); code != http.StatusServiceUnavailable || !strings.Contains(body, want) {
			t.Errorf("got %d %q, want 503 with %q", code, body, want)
		}
	}
	d.must("stop", "web", "--message", `Caf"é" <b>&`)
	shows("Caf&#34;é&#34; &lt;b&gt;&amp;")
	d.must("stop", "web", "--message", "Back at 5pm, sorry!")
	shows("Back at 5pm, sorry!")
	d.must("stop", "web")
	if _, body := d.get("any.host", "/"); strings.Contains(body, "5pm") {
		t.Error("a stop without a message keeps the one before")
	}
	d.must("stop", "web", "--message", "kept")
	d.must("deploy", "web", "--target", b.target())
	shows("kept")
	if out, _, _ := d.run("list"); !strings.Contains(out, "stopped") {
		t.Errorf("after a deploy list says %q", out)
	}
	d.kill()
	d.start()
	shows("kept")
	d.must("resume", "web")
	d.must("resume", "web")
	if _, body := d.get("any.host", "/"); body != "b" {
		t.Errorf("after resume %q serves, want b", body)
	}
}

func TestStopDrains(t *testing.T) {
	t.Parallel()
	d := startDaemon(t)
	a := startApp(t, "a")
	d.must("deploy", "web", "--target", a.target())
	slow := func(wait string) chan int {
		codes := make(chan int, 1)
		go func() {
			code, _ := d.get("any.host", "/slow?"+wait)
			codes <- code
		}()
		return codes
	}
	for _, order := range []string{"stop", "pause"} {
		served := a.served.Load()
		codes := slow("700ms")
		awaitServed(t, a, served+1)
		d.must(order, "web")
		if a.served.Load() != a.finished.Load() {
			t.Errorf("%s returned with a request under way", order)
		}
		if code := <-codes; code != http.StatusOK {
			t.Errorf("%s: the request under way got %d", order, code)
		}
		d.must("resume", "web")

		served = a.served.Load()
		codes = slow("60s")
		awaitServed(t, a, served+1)
		began := time.Now()
		d.must(order, "web", "--drain-timeout", "0.3s")
		if took := awake(began); took > 10*time.Second {
			t.Errorf("%s took %s", order, took)
		}
		if code := <-codes; code != http.StatusGatewayTimeout {
			t.Errorf("%s: the request that was cut off got %d, want 504", order, code)
		}
		d.must("resume", "web")
	}
}

func TestResumeEndsTheDrainOfAPause(t *testing.T) {
	t.Parallel()
	d := startDaemon(t)
	a := startApp(t, "a")
	d.must("deploy", "web", "--target", a.target())
	slow := make(chan int, 1)
	go func() {
		code, _ := d.get("any.host", "/held")
		slow <- code
	}()
	awaitServed(t, a, 1)
	paused := make(chan struct{})
	go func() {
		d.must("pause", "web")
		close(paused)
	}()
	eventually(t, "the service is paused", func() error {
		if out, _, _ := d.run("list"); !strings.Contains(out, "paused") {
			return fmt.Errorf("list says %q", out)
		}
		return nil
	})
	d.must("resume", "web")
	if code, body := d.get("any.host", "/"); code != http.StatusOK || body != "a" {
		t.Errorf("after resume, while the pause drained: %d %q", code, body)
	}
	within(t, "the pause returns", paused)
	if a.served.Load() == a.finished.Load() {
		t.Error("the pause waited for the slow request")
	}
	a.release()
	if code := <-slow; code != http.StatusOK {
		t.Errorf("the slow request got %d", code)
	}
}

func TestDeployThatMeetsAStopWaitsForItsOwnDrain(t *testing.T) {
	t.Parallel()
	d := startDaemon(t)
	old, next := startApp(t, "old"), startApp(t, "next")
	d.must("deploy", "web", "--target", old.target())
	slow := make(chan string, 1)
	go func() {
		_, body := d.get("any.host", "/slow?1500ms")
		slow <- body
	}()
	awaitServed(t, old, 1)
	stopped := make(chan struct{})
	go func() {
		d.must("stop", "web")
		close(stopped)
	}()
	eventually(t, "the service is stopped", func() error {
		if out, _, _ := d.run("list"); !strings.Contains(out, "stopped") {
			return fmt.Errorf("list says %q", out)
		}
		return nil
	})
	d.must("deploy", "web", "--target", next.target())
	if old.served.Load() != old.finished.Load() {
		t.Error("the deploy returned with a request on the old target")
	}
	within(t, "the stop returns", stopped)
	if body := <-slow; body != "old" {
		t.Errorf("the slow request got %q", body)
	}
}
