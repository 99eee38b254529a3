package integration

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
)

func TestHosts(t *testing.T) {
	d := startDaemon(t)
	names := map[string]*app{}
	deploy := func(name string, flags ...string) {
		names[name] = startApp(t, name)
		d.must(append([]string{"deploy", name, "--target", names[name].target()}, flags...)...)
	}
	deploy("any")
	deploy("exact", "--host", "a.example, b.example", "--host", " C.Example ")
	deploy("wild", "--host", "*.wild.example")
	deploy("inwild", "--host", "one.wild.example")
	deploy("idn", "--host", "münchen.example")
	deploy("v6", "--host", "[::1]")
	deploy("path", "--host", "p.example", "--path-prefix", "/api")
	for host, want := range map[string]string{
		"a.example":              "exact",
		"A.EXAMPLE":              "exact",
		"a.example.":             "exact",
		"a.example:8080":         "exact",
		"A.example.:8080":        "exact",
		"b.example":              "exact",
		"c.example":              "exact",
		"x.wild.example":         "wild",
		"X.Wild.Example.":        "wild",
		"one.wild.example":       "inwild",
		"wild.example":           "any",
		"x.y.wild.example":       "any",
		".wild.example":          "any",
		"xn--mnchen-3ya.example": "idn",
		"XN--MNCHEN-3YA.example": "idn",
		"[::1]":                  "v6",
		"[::1]:8080":             "v6",
		"[0:0:0:0:0:0:0:1]":      "v6",
		"127.0.0.1":              "any",
		"other.example":          "any",
	} {
		head, body := ask(t, d, "GET /", host)
		if status(head) != "200" || body != want {
			t.Errorf("Host %s: %s %q, want %s", host, status(head), body, want)
		}
	}
	if head, body := ask(t, d, "GET /other", "p.example"); status(head) != "404" || !strings.Contains(body, "404 Not Found") {
		t.Errorf("a known host without the path: %s %q, want 404, not the service without a host", status(head), body)
	}
	if head, body := ask(t, d, "GET http://a.example/", "other.example"); status(head) != "200" || body != "exact" {
		t.Errorf("absolute form: %s %q, want what its own host has", status(head), body)
	}
}

func TestPathPrefixes(t *testing.T) {
	d := startDaemon(t)
	raw := startRaw(t, nil)
	d.must("deploy", "root", "--target", raw.target(), "--host", "x.example")
	d.must("deploy", "api", "--target", raw.target(), "--host", "x.example", "--path-prefix", "/api,/auth/back/")
	d.must("deploy", "deep", "--target", raw.target(), "--host", "x.example", "--path-prefix", "/api/v2")
	d.must("deploy", "beyond", "--target", raw.target(), "--host", "x.example", "--path-prefix", "/café")
	d.must("deploy", "kept", "--target", raw.target(), "--host", "x.example", "--path-prefix", "kept", "--strip-path-prefix=false")
	for given, want := range map[string]string{
		"/":                 "/",
		"//":                "//",
		"//x/../y":          "//x/../y",
		"/../x":             "/../x",
		"/apix":             "/apix",
		"/API":              "/API",
		"/%61pi":            "/%61pi",
		"/api":              "/",
		"/api?":             "/?",
		"/api/":             "/",
		"/api//x":           "//x",
		"/api/a%2Fb":        "/a%2Fb",
		"/api/x?a;b&c=%":    "/x?a;b&c=%",
		"/api/v2":           "/",
		"/api/v2/api/v2":    "/api/v2",
		"/api/v2x":          "/v2x",
		"/auth/back":        "/",
		"/auth/back/c":      "/c",
		"/auth":             "/auth",
		"/kept/x?y":         "/kept/x?y",
		"/caf%C3%A9/%C3%A9": "/%C3%A9",
		"/x?q=a;b&&=%2f+":   "/x?q=a;b&&=%2f+",
		"/?":                "/?",
	} {
		head, _ := ask(t, d, "GET "+given, "x.example")
		if heads := raw.take(); len(heads) != 1 || !strings.HasPrefix(heads[0], "GET "+want+" HTTP/1.1\r\n") {
			t.Errorf("GET %s came as %q, want %s; the answer was %q", given, heads, want, head)
		}
	}
	ask(t, d, "OPTIONS *", "x.example")
	if line, _, _ := strings.Cut(raw.one(t), "\r\n"); line != "OPTIONS * HTTP/1.1" {
		t.Errorf("OPTIONS * came as %q", line)
	}
}

func TestHostOfAnotherServiceIsRefused(t *testing.T) {
	d := startDaemon(t)
	a := startApp(t, "a")
	d.must("deploy", "one", "--target", a.target(), "--host", "x.example", "--path-prefix", "/api")
	d.must("deploy", "all", "--target", a.target())
	d.refused("host is used by another service: one", "deploy", "two", "--target", a.target(), "--host", "X.example.", "--path-prefix", "api/")
	d.refused("host is used by another service: all", "deploy", "two", "--target", a.target())
	d.must("deploy", "two", "--target", a.target(), "--host", "x.example")
	d.must("remove", "one")
	d.must("deploy", "three", "--target", a.target(), "--host", "x.example", "--path-prefix", "/api")
}

func TestServicesMoveBetweenHosts(t *testing.T) {
	d := startDaemon(t)
	a, b := startApp(t, "a"), startApp(t, "b")
	d.must("deploy", "a", "--target", a.target(), "--host", "one.example", "--host", "two.example")
	d.must("deploy", "a", "--target", a.target(), "--host", "two.example")
	d.must("deploy", "b", "--target", b.target(), "--host", "one.example")
	for host, want := range map[string]string{"one.example": "b", "two.example": "a"} {
		if _, body := d.get(host, "/"); body != want {
			t.Errorf("%s answers %q, want %s", host, body, want)
		}
	}
}

func TestRoundRobin(t *testing.T) {
	d := startDaemon(t)
	var apps []*app
	args := []string{"deploy", "web", "--health-check-interval", "20ms"}
	for i := range 3 {
		apps = append(apps, startApp(t, fmt.Sprint(i)))
		args = append(args, "--target", apps[i].target())
	}
	d.must(args...)
	var order strings.Builder
	for range 6 {
		_, body := d.get("any.host", "/")
		order.WriteString(body)
	}
	if s := order.String(); s[:3] != s[3:] || !strings.Contains("01201", s[:3]) {
		t.Errorf("the targets' turns were %s", s)
	}

	apps[1].healthy.Store(false)
	eventually(t, "the sick one is left out", func() error {
		for range 6 {
			if _, body := d.get("any.host", "/"); body == "1" {
				return fmt.Errorf("it still has its turn")
			}
		}
		return nil
	})
	apps[1].healthy.Store(true)
	eventually(t, "it comes back", func() error {
		for range 6 {
			if _, body := d.get("any.host", "/"); body == "1" {
				return nil
			}
		}
		return fmt.Errorf("it has no turn")
	})

	for _, a := range apps {
		a.healthy.Store(false)
	}
	eventually(t, "without any healthy target the answer is 503", func() error {
		if code, body := d.get("any.host", "/"); code != http.StatusServiceUnavailable || !strings.Contains(body, "503 Service Temporarily Unavailable") {
			return fmt.Errorf("%d %q", code, body)
		}
		return nil
	})
}

func TestAllTargetsMustBeHealthyForASwitch(t *testing.T) {
	d := startDaemon(t)
	good, sick := startApp(t, "good"), startApp(t, "sick")
	sick.healthy.Store(false)
	d.refused("target failed to become healthy within configured timeout (300ms)", "deploy", "web",
		"--target", good.target()+","+sick.target(), "--deploy-timeout", "300ms", "--health-check-interval", "20ms")
	if code, _ := d.get("any.host", "/"); code != http.StatusNotFound {
		t.Errorf("a service that never switched answers %d", code)
	}
	checked := sick.checked.Load()
	d.must("deploy", "web", "--target", good.target(), "--health-check-interval", "20ms")
	awaitQuiet(t, good)
	if now := sick.checked.Load(); now > checked+1 {
		t.Errorf("the target of a refused deploy was checked %d times more", now-checked)
	}
}

func TestLoneTargetIsNeitherCheckedNorTakenOut(t *testing.T) {
	d := startDaemon(t)
	a := startApp(t, "a")
	d.must("deploy", "web", "--target", a.target(), "--health-check-interval", "20ms")
	a.healthy.Store(false)
	awaitQuiet(t, a)
	if code, _ := d.get("any.host", "/"); code != http.StatusOK {
		t.Errorf("got %d, want 200 from the only target there is", code)
	}
}

func TestForcedTargetTakesTrafficAtOnce(t *testing.T) {
	d := startDaemon(t)
	a := startApp(t, "a")
	a.healthy.Store(false)
	d.must("deploy", "web", "--target", a.target(), "--force")
	if code, body := d.get("any.host", "/"); code != http.StatusOK || body != "a" {
		t.Errorf("got %d %q, want a at once", code, body)
	}
}

func TestTargetOnIPv6(t *testing.T) {
	d := startDaemon(t)
	a := startAppOn(t, "[::1]:0", "six")
	_, stderr, code := d.run("deploy", "web", "--target", a.target())
	if code != 0 || !strings.Contains(stderr, "upstream") {
		t.Errorf("exit %d, stderr %q, want success and a word that upstream would not know it", code, stderr)
	}
	if _, body := d.get("any.host", "/"); body != "six" {
		t.Errorf("got %q, want six", body)
	}
}

// Kamal deploys a container again when it starts it.
func TestDeployOfTheSameTargetLosesNothing(t *testing.T) {
	d := startDaemon(t)
	a := startApp(t, "a")
	d.must("deploy", "web", "--target", a.target())
	load := startLoad(d.url("/"), 8)
	answer := make(chan string, 1)
	go func() {
		_, body := d.get("any.host", "/slow?500ms")
		answer <- body
	}()
	for range 5 {
		load.awaitMore(t, 20)
		d.must("deploy", "web", "--target", a.target())
	}
	if body := <-answer; body != "a" {
		t.Errorf("the slow request got %q", body)
	}
	load.stop(t)
}

func TestRemovedServiceIsGone(t *testing.T) {
	d := startDaemon(t)
	a := startApp(t, "a")
	d.must("deploy", "web", "--target", a.target())
	answer := make(chan string, 1)
	go func() {
		_, body := d.get("any.host", "/slow?600ms")
		answer <- body
	}()
	awaitServed(t, a, 1)
	d.must("rm", "web")
	if body := <-answer; body != "a" {
		t.Errorf("the request under way got %q, want its answer", body)
	}
	if code, _ := d.get("any.host", "/"); code != http.StatusNotFound {
		t.Errorf("a removed service answers %d", code)
	}
	if out, _, _ := d.run("ls"); strings.Contains(out, "web") {
		t.Errorf("list says %q", out)
	}
	d.refused("service not found", "remove", "web")
}

func TestIdleConnectionsToReplacedTargetsAreClosed(t *testing.T) {
	d := startDaemon(t)
	old, next := startRaw(t, nil), startRaw(t, nil)
	d.must("deploy", "web", "--target", old.target())
	d.get("any.host", "/")
	if old.connections() == 0 {
		t.Fatal("no connection is kept: the test shows nothing")
	}
	d.must("deploy", "web", "--target", next.target())
	eventually(t, "connections to the old target are closed", func() error {
		if n := old.connections(); n > 0 {
			return fmt.Errorf("%d are open", n)
		}
		return nil
	})
}

func TestEarlyAnswersToBodiesLoseNothing(t *testing.T) {
	t.Parallel()
	d := startDaemon(t)
	a := startApp(t, "a", func(mux *http.ServeMux) {
		mux.HandleFunc("/early", func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, "early") })
	})
	for _, flags := range [][]string{nil, {"--buffer-requests", "--buffer-responses"}} {
		d.must(append([]string{"deploy", "web", "--target", a.target()}, flags...)...)
		body := strings.Repeat("x", 64<<10)
		for i := range 1000 {
			response, err := http.Post(d.url("/early"), "text/plain", strings.NewReader(body))
			if err != nil {
				t.Fatalf("%v: request %d: %v", flags, i, err)
			}
			data, err := io.ReadAll(response.Body)
			response.Body.Close()
			if err != nil || string(data) != "early" {
				t.Fatalf("%v: request %d: %q, %v", flags, i, data, err)
			}
		}
	}
}
