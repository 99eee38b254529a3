package integration

import (
	"fmt"
	"net"
	"net/http"
	"os"
	"strings"
	"sync"
	"testing"
	"time"
)

// checks is what an app was asked for its health.
type checks struct {
	mu   sync.Mutex
	seen []*http.Request
}

func (c *checks) take() []*http.Request {
	c.mu.Lock()
	defer c.mu.Unlock()
	seen := c.seen
	c.seen = nil
	return seen
}

// on answers checks of a path by answer.
func (c *checks) on(path string, answer http.HandlerFunc) func(*http.ServeMux) {
	return func(mux *http.ServeMux) {
		mux.HandleFunc(path, func(w http.ResponseWriter, r *http.Request) {
			c.mu.Lock()
			c.seen = append(c.seen, r)
			c.mu.Unlock()
			answer(w, r)
		})
	}
}

func well(http.ResponseWriter, *http.Request) {}

func TestCheckIsMadeAsTold(t *testing.T) {
	d := startDaemon(t)
	var seen checks
	a := startApp(t, "a", seen.on("/live/", well))
	other := startApp(t, "other", seen.on("/live/", well))
	port := strings.Split(other.target(), ":")[1]
	for _, c := range []struct {
		flags     []string
		uri, host string
	}{
		{[]string{"--health-check-path", "/live/x"}, "/live/x", a.target()},
		{[]string{"--health-check-path", "live/x"}, "/live/x", a.target()},
		{[]string{"--health-check-path", "/live/x?a=1;b&c=%2F"}, "/live/x?a=1;b&c=%2F", a.target()},
		{[]string{"--health-check-path", "/live/a b#é"}, "/live/a%20b%23%C3%A9", a.target()},
		{[]string{"--health-check-path", "/live/x", "--health-check-host", "App.example"}, "/live/x", "App.example"},
		{[]string{"--health-check-path", "/live/x", "--health-check-port", port}, "/live/x", other.target()},
	} {
		d.must(append([]string{"deploy", "web", "--target", a.target()}, c.flags...)...)
		made := seen.take()
		if len(made) != 1 {
			t.Errorf("%v: %d checks, want one: the first comes at once, and a lone target that serves is not checked", c.flags, len(made))
			continue
		}
		r := made[0]
		if r.Method != http.MethodGet || r.RequestURI != c.uri || r.Host != c.host || r.UserAgent() != "kamal-proxy" {
			t.Errorf("%v: %s %s of %s by %q, want GET %s of %s by kamal-proxy", c.flags, r.Method, r.RequestURI, r.Host, r.UserAgent(), c.uri, c.host)
		}
	}
}

func TestHealthyIs2xx(t *testing.T) {
	d := startDaemon(t)
	var seen checks
	elsewhere := startApp(t, "elsewhere", seen.on("/live", well))
	a := startApp(t, "a", func(mux *http.ServeMux) {
		for _, code := range []int{200, 204, 299, 304, 401, 404, 500, 503} {
			mux.HandleFunc(fmt.Sprint("/", code), func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(code) })
		}
		for path, to := range map[string]string{
			"/there": "http://{self}/204", "/near": "/204", "/away": "http://" + elsewhere.target() + "/live", "/secure": "https://{self}/204", "/round": "/round",
		} {
			mux.HandleFunc(path, func(w http.ResponseWriter, r *http.Request) {
				w.Header().Set("Location", strings.ReplaceAll(to, "{self}", r.Host))
				w.WriteHeader(http.StatusMovedPermanently)
			})
		}
	})
	for path, healthy := range map[string]bool{
		"/200": true, "/204": true, "/299": true, "/304": false, "/401": false, "/404": false, "/500": false, "/503": false,
		"/there": true, "/near": true, "/away": false, "/secure": false, "/round": false,
	} {
		args := []string{"deploy", "web", "--target", a.target(), "--health-check-path", path, "--deploy-timeout", "0s"}
		if healthy {
			d.must(args...)
		} else {
			d.refused("target failed to become healthy within configured timeout (0s)", args...)
		}
	}
	if n := len(seen.take()); n > 0 {
		t.Errorf("a redirect to another host was followed %d times", n)
	}
}

func TestFailedDeploySaysWhy(t *testing.T) {
	d := startDaemon(t)
	var slow checks
	a := startApp(t, "a", func(mux *http.ServeMux) {
		mux.HandleFunc("/500", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(500) })
		mux.HandleFunc("/301", func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, "https://"+r.Host+"/", http.StatusMovedPermanently)
		})
	}, slow.on("/slow-check", func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }))
	for want, flags := range map[string][]string{
		"500":     {"--target", a.target(), "--health-check-path", "/500"},
		"301":     {"--target", a.target(), "--health-check-path", "/301"},
		"refused": {"--target", closedPort(t)},
		"resolve": {"--target", strings.Repeat("x", 64) + ":80"}, // no name server is asked for such a name
		"100ms":   {"--target", a.target(), "--health-check-path", "/slow-check", "--health-check-timeout", "100ms"},
	} {
		d.refused(want, append([]string{"deploy", "web", "--deploy-timeout", "0s"}, flags...)...)
	}
}

func TestFirstCheckThatFailsIsRepeated(t *testing.T) {
	d := startDaemon(t)
	a := startApp(t, "a")
	a.healthy.Store(false)
	done := make(chan struct{})
	go func() {
		d.must("deploy", "web", "--target", a.target(), "--health-check-interval", "20ms")
		close(done)
	}()
	awaitChecked(t, a, 3)
	a.healthy.Store(true)
	within(t, "the deploy", done)
}

func TestChecksUseNoProxyOfTheEnvironment(t *testing.T) {
	d := &daemon{t: t, home: shortTempDir(t)}
	nobody := "http://" + closedPort(t)
	d.env = []string{"HTTP_PROXY=" + nobody, "http_proxy=" + nobody}
	d.start()
	t.Cleanup(d.stop)
	// Go's own client goes past the proxy for localhost, but not for such a name.
	name, address := loopbackAlias(t)
	a := startAppOn(t, net.JoinHostPort(address, "0"), "a")
	d.must("deploy", "web", "--target", fmt.Sprint(name, ":", a.Listener.Addr().(*net.TCPAddr).Port), "--deploy-timeout", "5s")
	if _, body := d.get("any.host", "/"); body != "a" {
		t.Errorf("got %q", body)
	}
}

// loopbackAlias is another name than localhost for the same.
func loopbackAlias(t *testing.T) (name, address string) {
	t.Helper()
	own, err := os.Hostname()
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{own, "ip6-localhost"} {
		if found, err := net.LookupHost(name); err == nil && len(found) == 1 && net.ParseIP(found[0]).IsLoopback() {
			return name, found[0]
		}
	}
	t.Skip("the machine has no name of its own that is loopback")
	return "", ""
}

func TestDeployTimeoutNamesItself(t *testing.T) {
	t.Parallel()
	d := startDaemon(t)
	began := time.Now()
	d.refused("target failed to become healthy within configured timeout (1.5s)",
		"deploy", "web", "--target", closedPort(t), "--deploy-timeout", "1500ms")
	if took := time.Since(began); took < 1500*time.Millisecond || awake(began) > 10*time.Second {
		t.Errorf("it took %s", took)
	}
	if _, err := os.Stat(d.home + "/.config/kamal-proxy/kamal-proxy.state"); err == nil {
		t.Error("a service that never switched is in the state")
	}
}
