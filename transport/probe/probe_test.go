package probe

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"kamal-proxy/actors/healthcheck"
	"kamal-proxy/actors/spec"
)

// app answers by path, and tells what it was asked.
func app(t *testing.T) (target string, asked chan *http.Request) {
	t.Helper()
	asked = make(chan *http.Request, 20)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked <- r
		switch r.URL.Path {
		case "/moved":
			http.Redirect(w, r, "/up", http.StatusFound)
		case "/moved-whole":
			http.Redirect(w, r, "http://"+r.Host+"/up", http.StatusFound)
		case "/away":
			http.Redirect(w, r, "http://elsewhere.invalid/up", http.StatusFound)
		case "/secure":
			http.Redirect(w, r, "https://"+r.Host+"/up", http.StatusMovedPermanently)
		case "/circle":
			http.Redirect(w, r, "/circle", http.StatusFound)
		case "/broken":
			w.WriteHeader(http.StatusInternalServerError)
		case "/late":
			<-r.Context().Done()
		}
	}))
	t.Cleanup(server.Close)
	return server.Listener.Addr().String(), asked
}

func check(t *testing.T, target string, h spec.HealthCheck) healthcheck.Result {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	return New(target, h)(ctx)
}

func TestWhatIsHealthy(t *testing.T) {
	t.Setenv("HTTP_PROXY", "http://127.0.0.1:1")
	target, _ := app(t)
	for path, want := range map[string]healthcheck.Result{
		"/up":          {Healthy: true, Status: 200},
		"/moved":       {Healthy: true, Status: 200},
		"/moved-whole": {Healthy: true, Status: 200},
		"/away":        {Status: 302, Location: "http://elsewhere.invalid/up"},
		"/secure":      {Status: 301, Location: "https://" + target + "/up"},
		"/broken":      {Status: 500},
	} {
		got := check(t, target, spec.HealthCheck{Path: path})
		if got.Healthy != want.Healthy || got.Kind != healthcheck.Answered || got.Status != want.Status || got.Location != want.Location {
			t.Errorf("%s: %+v, want %+v", path, got, want)
		}
	}
	if got := check(t, target, spec.HealthCheck{Path: "/circle"}); got.Healthy || got.Kind != healthcheck.Failed {
		t.Errorf("/circle: %+v, want a failure", got)
	}
}

func TestWhatIsAsked(t *testing.T) {
	target, asked := app(t)
	for path, want := range map[string]string{
		"/up?x=1;2": "/up?x=1;2",
		"/a b/é?ü":  "/a%20b/%C3%A9?%C3%BC",
		"/up#x":     "/up%23x",
		"//up/../x": "//up/../x",
		"/a%2Fb":    "/a%2Fb",
	} {
		check(t, target, spec.HealthCheck{Path: path, Host: "app.example"})
		r := <-asked
		if r.RequestURI != want || r.Method != http.MethodGet || r.Host != "app.example" || r.UserAgent() != UserAgent {
			t.Errorf("%s: %s %s of %s by %q, want %s", path, r.Method, r.RequestURI, r.Host, r.UserAgent(), want)
		}
	}
	check(t, target, spec.HealthCheck{Path: "/up"})
	if r := <-asked; r.Host != target {
		t.Errorf("the Host is %q, want the target's, %q", r.Host, target)
	}
}

func TestAnotherPort(t *testing.T) {
	target, _ := app(t)
	_, port, err := net.SplitHostPort(target)
	if err != nil {
		t.Fatal(err)
	}
	var number int
	fmt.Sscan(port, &number)
	if got := check(t, "127.0.0.1:1", spec.HealthCheck{Path: "/up", Port: number}); !got.Healthy {
		t.Errorf("%+v, want healthy by --health-check-port", got)
	}
}

func TestWhyItFailed(t *testing.T) {
	target, _ := app(t)
	closed, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	closed.Close()
	if got := check(t, closed.Addr().String(), spec.HealthCheck{Path: "/up"}); got.Kind != healthcheck.Refused || got.Healthy {
		t.Errorf("nobody listens: %+v", got)
	}
	if got := check(t, "no-such-host.invalid:80", spec.HealthCheck{Path: "/up"}); got.Healthy || got.Kind == healthcheck.Answered {
		t.Errorf("no such host: %+v", got)
	}
	if got := check(t, ":80", spec.HealthCheck{Path: "/up"}); got.Kind != healthcheck.Failed || !strings.Contains(got.Detail, "invalid host pattern") {
		t.Errorf("no target: %+v", got)
	}
	ctx, cancel := context.WithTimeout(context.Background(), 50*time.Millisecond)
	defer cancel()
	if got := New(target, spec.HealthCheck{Path: "/late"})(ctx); got.Kind != healthcheck.TimedOut {
		t.Errorf("no answer in time: %+v", got)
	}
}
