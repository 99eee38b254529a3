package integration

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// seldom keeps checks from telling what requests are to find out.
const seldom = "--health-check-interval=1h"

// crash ends an app as kill -9 does: connections are reset, nothing listens.
func (a *app) crash() {
	a.Listener.Close()
	a.CloseClientConnections()
}

// reset answers nothing, by a reset.
func reset(c net.Conn, _ *bufio.Reader) {
	c.(*net.TCPConn).SetLinger(0)
	c.Close()
}

// condition is a target's in list --output json.
type condition struct {
	Target   string
	Role     string
	Health   string
	Since    string
	Error    string
	Failures int
}

// conditions are those of a service's targets.
func (d *daemon) conditions(service string) map[string]condition {
	d.t.Helper()
	out, errs, code := d.run("list", "--output", "json")
	var rows []struct {
		Service string
		Health  []condition
	}
	if err := json.Unmarshal([]byte(out), &rows); err != nil || code != 0 {
		d.t.Fatalf("list --output json: exit %d, %v, %s", code, err, errs)
	}
	all := map[string]condition{}
	for _, row := range rows {
		for _, c := range row.Health {
			if row.Service == service {
				all[c.Target] = c
			}
		}
	}
	return all
}

func TestATargetThatDiesUnderLoadCostsNoReads(t *testing.T) {
	d := startDaemon(t)
	for _, flags := range [][]string{nil, {"--buffer-requests", "--buffer-responses"}, {"--lb=least", "--sticky"}} {
		a, b := startApp(t, "a"), startApp(t, "b")
		d.must(append([]string{"deploy", "web", seldom, "--target", a.target(), "--target", b.target()}, flags...)...)
		l := startLoad(d.url("/slow?5ms"), 16)
		l.awaitMore(t, 300)
		b.crash()
		l.awaitMore(t, 600)
		l.stop(t)
		if l.by["a"] < 300 || l.by["b"] == 0 {
			t.Errorf("%q: answers came from %v", flags, l.by)
		}
		if c := d.conditions("web")[b.target()]; c.Health != "ejected" && c.Health != "returning" {
			t.Errorf("%q: the dead target is listed as %+v", flags, c)
		}
	}
}

func TestATargetThatResetsNowAndThenCostsNoReads(t *testing.T) {
	d := startDaemon(t)
	good := startApp(t, "good")
	var n atomic.Int64
	bad := startRaw(t, func(c net.Conn, r *bufio.Reader) {
		if n.Add(1)%5 == 0 {
			reset(c, r)
			return
		}
		fmt.Fprint(c, "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nbad")
	})
	d.must("deploy", "web", seldom, "--target", good.target(), "--target", bad.target())
	l := startLoad(d.url("/"), 8)
	l.awaitMore(t, 1000)
	l.stop(t)
	if l.by["bad"] < 300 {
		t.Errorf("it is left out: answers came from %v", l.by)
	}
}

// A handshake that meets a dead target goes to the other one.
func TestATargetThatIsAwayCostsNoWebSockets(t *testing.T) {
	d := startDaemon(t)
	echo := switching("websocket", func(c net.Conn, r *bufio.Reader) { io.Copy(c, r) })
	a, b := startApp(t, "a", echo), startApp(t, "b", echo)
	d.must("deploy", "web", seldom, "--target", a.target(), "--target", b.target())
	b.crash()
	for range 4 {
		conn, r := upgrade(t, d, "websocket")
		if err := writeFrame(conn, frame{opcode: 1, masked: true, payload: []byte("hi")}); err != nil {
			t.Fatal(err)
		}
		if f, err := readFrame(r); err != nil || string(f.payload) != "hi" {
			t.Errorf("%q comes back, %v", f.payload, err)
		}
		conn.Close()
	}
}

// A POST that meets a dead target was never sent: it goes to the other one,
// with its body, kept or not.
func TestATargetThatIsAwayCostsNoPosts(t *testing.T) {
	d := startDaemon(t)
	cert, key, pool := certificate(t, d.home, "localhost")
	h2 := h2Client(pool)
	defer h2.CloseIdleConnections()
	echo := func(name string) func(*http.ServeMux) {
		return func(mux *http.ServeMux) {
			mux.HandleFunc("/echo", func(w http.ResponseWriter, r *http.Request) {
				w.Header().Set("X-App", name)
				content, _ := io.ReadAll(r.Body)
				w.Write(content)
			})
		}
	}
	for _, flags := range [][]string{{"--buffer-requests=false"}, {"--buffer-requests"}} {
		a, b := startApp(t, "a", echo("a")), startApp(t, "b", echo("b"))
		d.must(append([]string{"deploy", "web", seldom, "--target", a.target(), "--target", b.target(), "--host", "localhost",
			"--tls", "--tls-redirect=false", "--tls-certificate-path", cert, "--tls-private-key-path", key}, flags...)...)
		for range 4 { // connections are kept
			d.get("localhost", "/")
		}
		b.crash()
		for i, size := range []int{0, 1, 5000, 64 << 10, 1 << 20, 100, 100, 100} {
			content := strings.Repeat(fmt.Sprint(i), size)
			request := func() *http.Request {
				r := d.request("POST", "localhost", "/echo", strings.NewReader(content))
				if i%4 > 1 { // chunked
					r.Body, r.ContentLength = io.NopCloser(struct{ io.Reader }{r.Body}), -1
				}
				return r
			}
			for range 2 { // one of three in a row meets the dead target
				response, body := do(t, request())
				if response.StatusCode != http.StatusOK || body != content || response.Header.Get("X-App") != "a" {
					t.Errorf("%q: a POST of %d bytes: %s, %d bytes come back", flags, size, response.Status, len(body))
				}
			}
			secure := request()
			secure.URL.Scheme, secure.URL.Host = "https", fmt.Sprintf("localhost:%d", d.https)
			response, err := h2.Do(secure)
			if err != nil {
				t.Fatal(err)
			}
			body, err := whole(response)
			if err != nil || body != content || response.ProtoMajor != 2 {
				t.Errorf("%q: a POST of %d bytes by %s: %v, %d bytes come back", flags, size, response.Proto, err, len(body))
			}
		}
	}
}

// A POST that the target may have read is not sent again.
func TestAPostThatMayHaveBeenReadIsSentOnce(t *testing.T) {
	d := startDaemon(t)
	var got [2]*rawTarget
	for i := range got {
		got[i] = startRaw(t, func(c net.Conn, r *bufio.Reader) {
			io.ReadFull(r, make([]byte, 4))
			reset(c, r)
		})
	}
	d.must("deploy", "web", seldom, "--buffer-requests", "--target", got[0].target(), "--target", got[1].target())
	for range 4 {
		if response, _ := do(t, d.request("POST", "any.host", "/", strings.NewReader("once"))); response.StatusCode != http.StatusBadGateway {
			t.Errorf("it is answered %s", response.Status)
		}
	}
	if n := len(got[0].take()) + len(got[1].take()); n != 4 {
		t.Errorf("4 POSTs were sent %d times", n)
	}
}

func TestATargetThatResetsIsLeftOutAndComesBackGently(t *testing.T) {
	t.Parallel()
	port := strings.Split(closedPort(t), ":")[1]
	d := startDaemon(t, "--metrics-port", port)
	good := startApp(t, "good")
	var mended atomic.Bool
	bad := startRaw(t, func(c net.Conn, r *bufio.Reader) {
		if !mended.Load() {
			reset(c, r)
			return
		}
		fmt.Fprint(c, "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nbad")
	})
	d.must("deploy", "web", "--health-check-interval", "50ms", "--target", good.target(), "--target", bad.target())
	get := func(n int) (fromBad int) {
		t.Helper()
		for range n {
			code, body := d.get("any.host", "/")
			if code != http.StatusOK {
				t.Fatalf("a request is answered %d", code)
			}
			if body == "bad" {
				fromBad++
			}
		}
		return fromBad
	}

	get(40)
	if n := len(bad.take()); n != 5 {
		t.Errorf("a target that resets everything got %d of 40 requests, want 5", n)
	}
	c := d.conditions("web")[bad.target()]
	if c.Health != "ejected" || c.Failures != 5 || c.Since == "" || !strings.Contains(c.Error, bad.target()) {
		t.Errorf("it is listed as %+v", c)
	}
	out, _, _ := d.run("list", "-o", "wide")
	if c := d.conditions("web")[bad.target()]; c.Health == "ejected" && !strings.Contains(out, bad.target()+" ejected since ") {
		t.Errorf("list --output wide does not say so:\n%s", out)
	}
	if out, _, _ := d.run("list"); strings.Contains(out, "ejected") {
		t.Errorf("list without flags has changed:\n%s", out)
	}
	eventually(t, "40 requests are logged, 5 with retries", func() error {
		requests, retried := d.requests(), 0
		for _, line := range requests {
			if line["retries"] == 1.0 {
				retried++
			}
			if line["target"] != good.target() {
				t.Fatalf("%v is logged, which did not serve", line["target"])
			}
		}
		if len(requests) != 40 || retried != 5 {
			return fmt.Errorf("%d are, %d with retries", len(requests), retried)
		}
		return nil
	})
	metrics, err := fetch(http.DefaultClient, "http://127.0.0.1:"+port+"/metrics")
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{`kamal_proxy_http_retries_total{service="web"} 5`, `kamal_proxy_target_ejections_total{service="web"} 1`} {
		if !strings.Contains(metrics, want+"\n") {
			t.Errorf("%s is not among the metrics", want)
		}
	}

	mended.Store(true)
	eventually(t, "it comes back", func() error {
		if c := d.conditions("web")[bad.target()]; c.Health != "returning" {
			return fmt.Errorf("it is %+v", c)
		}
		return nil
	})
	if n := get(20); n == 0 || n > 9 {
		t.Errorf("a target that comes back gets %d of 20 requests", n)
	}
}

// Where there is another target, one that takes no connections is not waited
// for until the time for an answer is over.
func TestATargetThatTakesNoConnectionsCostsNoReads(t *testing.T) {
	d := startDaemon(t)
	good := startApp(t, "good")
	d.must("deploy", "web", "--force", seldom, "--health-check-timeout=1h", "--target", good.target(), "--target", silent(t))
	began := time.Now()
	for range 2 {
		if code, body := d.get("any.host", "/"); code != http.StatusOK || body != "good" {
			t.Errorf("%d %q", code, body)
		}
	}
	if took := awake(began); took > 10*time.Second {
		t.Errorf("it took %v", took)
	}
}

// What a pool that is dead gets is bounded, however many targets it has.
func TestRetriesHaveABudget(t *testing.T) {
	d := startDaemon(t)
	args := []string{"deploy", "web", seldom}
	var dead []*rawTarget
	for range 6 {
		dead = append(dead, startRaw(t, reset))
		args = append(args, "--target", dead[len(dead)-1].target())
	}
	d.must(args...)
	const requests, room = 400, 100 + 400/5
	began := time.Now()
	for range requests {
		if code, _ := d.get("any.host", "/"); code != http.StatusBadGateway {
			t.Fatalf("a dead pool answers %d", code)
		}
	}
	got := 0
	for _, target := range dead {
		got += len(target.take())
	}
	again := int(room * time.Since(began) / (10 * time.Second)) // what was spent fades
	if most := requests + room + again + 20; got < requests+100 || got > most {
		t.Errorf("%d requests became %d, want from %d to %d", requests, got, requests+100, most)
	}
}

// While the old target is warm, what the new one refuses goes to it.
func TestRequestsThatANewTargetRefusesGoToTheOldOne(t *testing.T) {
	d := startDaemon(t)
	old := startApp(t, "old")
	d.must("deploy", "web", "--target", old.target())
	slow := make(chan int, 1)
	go func() {
		code, _ := d.get("any.host", "/held")
		slow <- code
	}()
	eventually(t, "a request is under way", func() error {
		if old.served.Load() == 0 {
			return fmt.Errorf("none is")
		}
		return nil
	})
	deployed := make(chan bool)
	go func() {
		d.must("deploy", "web", "--force", "--target", closedPort(t))
		close(deployed)
	}()
	eventually(t, "the switch", func() error {
		if out, _, _ := d.run("list"); strings.Contains(out, old.target()) {
			return fmt.Errorf("it is still to come:\n%s", out)
		}
		return nil
	})
	for range 5 {
		if code, body := d.get("any.host", "/"); code != http.StatusOK || body != "old" {
			t.Errorf("while the old target drains: %d %q", code, body)
		}
		if response, _ := do(t, d.request("POST", "any.host", "/", strings.NewReader("x"))); response.StatusCode != http.StatusOK {
			t.Errorf("a POST while the old target drains: %s", response.Status)
		}
	}
	old.release()
	if code := <-slow; code != http.StatusOK {
		t.Errorf("the slow request was answered %d", code)
	}
	<-deployed
	if code, _ := d.get("any.host", "/"); code != http.StatusBadGateway {
		t.Errorf("after the drain: %d", code)
	}
}

func TestALoneTargetThatFailsIsListed(t *testing.T) {
	d := startDaemon(t)
	a := startAppOn(t, closedPort(t), "a") // which nobody else gets while it is away
	d.must("deploy", "web", "--target", a.target())
	before, _, _ := d.run("list")
	if c := d.conditions("web")[a.target()]; c.Health != "ok" || c.Role != "writer" {
		t.Errorf("it is listed as %+v", c)
	}
	a.crash()
	began := time.Now().Add(-time.Second)
	for range 7 {
		if code, _ := d.get("any.host", "/"); code != http.StatusBadGateway {
			t.Fatalf("it answers %d", code)
		}
	}
	c := d.conditions("web")[a.target()]
	since, err := time.Parse(time.RFC3339Nano, c.Since)
	if c.Health != "failing" || c.Failures != 7 || err != nil || since.Before(began) || !strings.Contains(c.Error, "refused") {
		t.Errorf("it is listed as %+v", c)
	}
	if out, _, _ := d.run("list", "--output", "wide"); !strings.Contains(out, a.target()+" failing since ") || !strings.Contains(out, "connection refused") {
		t.Errorf("list --output wide does not say that it fails:\n%s", out)
	}
	if after, _, _ := d.run("list"); after != before {
		t.Errorf("list without flags has changed:\n%s%s", before, after)
	}
	startAppOn(t, a.target(), "a")
	if code, _ := d.get("any.host", "/"); code != http.StatusOK {
		t.Errorf("it is back, and answers %d", code)
	}
	if c := d.conditions("web")[a.target()]; c.Health != "ok" || c.Error != "" {
		t.Errorf("it is back, and listed as %+v", c)
	}
}
