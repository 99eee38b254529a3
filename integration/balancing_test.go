package integration

import (
	"fmt"
	"net/http"
	"testing"
)

func TestStickySessions(t *testing.T) {
	d := startDaemon(t)
	a, b := startApp(t, "a"), startApp(t, "b")
	reader := startApp(t, "reader")
	deploy := func(flags ...string) {
		t.Helper()
		d.must(append([]string{"deploy", "web", "--sticky", seldom, "--target", a.target(), "--target", b.target()}, flags...)...)
	}
	deploy()
	cookieOf := func(response *http.Response) *http.Cookie {
		for _, c := range response.Cookies() {
			if c.Name == "kamal-sticky" {
				return c
			}
		}
		return nil
	}
	home, response := servedBy(t, d, "GET")
	c := cookieOf(response)
	if c == nil || c.Path != "/" || !c.HttpOnly || c.SameSite != http.SameSiteLaxMode || c.Secure || !c.Expires.IsZero() {
		t.Fatalf("the cookie is %v", c)
	}
	stays := func(when string) {
		t.Helper()
		for range 6 {
			if by, response := servedBy(t, d, "GET", c); by != home || cookieOf(response) != nil {
				t.Errorf("%s: %s serves, and the cookie is %v", when, by, cookieOf(response))
			}
		}
	}
	stays("at once")
	deploy()
	stays("after a deploy")
	d.stop()
	d.start()
	stays("after a restart")
	d.must("rollout", "deploy", "web", "--target", reader.target())
	stays("beside a rollout")
	deploy("--read-target", reader.target(), "--writer-affinity-timeout", "0")
	by, response := servedBy(t, d, "GET", c)
	if by != "reader" {
		t.Errorf("with readers, %s serves a read", by)
	}
	if c = cookieOf(response); c == nil {
		t.Fatal("a reader gives no cookie")
	}
	for range 4 {
		if by, _ := servedBy(t, d, "POST", c); by != home {
			t.Errorf("a reader's cookie has lost the writer: %s", by)
		}
	}
	deploy()

	at := map[string]*app{"a": a, "b": b}
	at[home].crash()
	for range 5 { // until it is left out
		if by, response = servedBy(t, d, "GET", c); by == home || response.StatusCode != http.StatusOK {
			t.Fatalf("%s serves for the dead %s, %s", by, home, response.Status)
		}
	}
	if c = cookieOf(response); c == nil {
		t.Fatal("a client whose target is left out gets no other cookie")
	}
	home = by
	stays("after its target died")
}

func TestLeastPrefersTheIdleTarget(t *testing.T) {
	d := startDaemon(t)
	a, b := startApp(t, "a"), startApp(t, "b")
	d.must("deploy", "web", "--lb", "least", "--target", a.target(), "--target", b.target())
	slow := make(chan string, 1)
	go func() {
		_, body := d.get("any.host", "/held")
		slow <- body
	}()
	eventually(t, "one is busy", func() error {
		if a.served.Load()+b.served.Load() == 0 {
			return fmt.Errorf("none is")
		}
		return nil
	})
	by := map[string]int{}
	for range 20 {
		_, body := d.get("any.host", "/")
		by[body]++
	}
	a.release()
	b.release()
	if busy := <-slow; by[busy] != 0 {
		t.Errorf("%s was busy, and %v served", busy, by)
	}
	d.refused(`lb is "random": it is round-robin or least`, "deploy", "web", "--target", a.target(), "--lb", "random")
}

func TestMaxInFlight(t *testing.T) {
	d := startDaemon(t, "--max-in-flight", "2")
	a, other := startApp(t, "a"), startApp(t, "other")
	d.must("deploy", "web", "--target", a.target(), "--host", "web.host")
	d.must("deploy", "other", "--target", other.target(), "--host", "other.host")
	slow := make(chan int, 2)
	for range 2 {
		go func() {
			code, _ := d.get("web.host", "/held")
			slow <- code
		}()
	}
	eventually(t, "both are under way", func() error {
		if n := a.served.Load(); n < 2 {
			return fmt.Errorf("%d are", n)
		}
		return nil
	})
	response, _ := do(t, d.request("GET", "web.host", "/", nil))
	if response.StatusCode != http.StatusServiceUnavailable || response.Header.Get("Retry-After") != "1" {
		t.Errorf("one too many is answered %s, Retry-After %q", response.Status, response.Header.Get("Retry-After"))
	}
	if code, _ := d.get("other.host", "/"); code != http.StatusOK {
		t.Errorf("another service answers %d", code)
	}
	a.release()
	for range 2 {
		if code := <-slow; code != http.StatusOK {
			t.Errorf("one of two is answered %d", code)
		}
	}
	if code, _ := d.get("web.host", "/"); code != http.StatusOK {
		t.Errorf("when there is room, the answer is %d", code)
	}
}
