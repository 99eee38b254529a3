package integration

import (
	"fmt"
	"io"
	"net"
	"strings"
	"syscall"
	"testing"
	"time"
)

func TestHeldRequestsFollowTheNewProcess(t *testing.T) {
	d := startLineage(t)
	a, b := startApp(t, "a"), startApp(t, "b")
	d.must("deploy", "web", "--target", a.target())
	d.must("pause", "web")
	held := func() net.Conn {
		c := dial(t, d)
		fmt.Fprint(c, "GET / HTTP/1.1\r\nHost: a.example\r\nConnection: close\r\n\r\n")
		if !pending(c) {
			t.Fatal("the request is not held")
		}
		return c
	}
	first := held()
	d.upgrade()
	second := held()
	d.upgrade() // and one more process before it
	third := held()
	d.must("deploy", "web", "--target", b.target())
	d.must("resume", "web")
	for i, c := range []net.Conn{first, second, third} {
		if said, err := io.ReadAll(c); err != nil || status(string(said)) != "200" || !strings.HasSuffix(string(said), "b") {
			t.Errorf("request %d, held by process %d of 3, got %.200q, %v, want b", i+1, i+1, said, err)
		}
	}
	for _, pid := range d.lineage()[:2] {
		awaitEnd(t, pid)
	}
}

func TestDeployWaitsForTheOldProcess(t *testing.T) {
	t.Parallel()
	d := startLineage(t)
	a, b := startApp(t, "a"), startApp(t, "b")
	d.must("deploy", "web", "--target", a.target())
	answer := d.held(t, a)
	d.upgrade()
	deployed := make(chan struct{})
	go func() {
		defer close(deployed)
		d.must("deploy", "web", "--target", b.target())
	}()
	eventually(t, "the switch", func() error {
		if _, body := d.get("a.example", "/"); body != "b" {
			return fmt.Errorf("got %q", body)
		}
		return nil
	})
	select {
	case <-deployed:
		t.Error("the deploy ended while a request of the old process was on the old target")
	case <-time.After(300 * time.Millisecond):
	}
	a.release()
	within(t, "the deploy", deployed)
	if body, err := answer(); err != nil || body != "a and close" {
		t.Errorf("that got %q, %v", body, err)
	}

	answer = d.slow(t, b, "1m")
	d.upgrade()
	began := time.Now()
	d.must("deploy", "web", "--target", a.target(), "--drain-timeout", "500ms")
	if took := time.Since(began); took < 500*time.Millisecond || awake(began) > 10*time.Second {
		t.Errorf("the deploy took %v, want the drain's time", took)
	}
	if body, err := answer(); err == nil {
		t.Errorf("a request of the old process that outlived the drain got %q", body)
	}
	d.must("remove", "web")
}

// What can finish in the time to shut down does. No longer: whatever starts the
// proxy again may wait for the end of both.
func TestOldProcessFinishesWhenTheNewOneIsKilled(t *testing.T) {
	t.Parallel()
	d := startLineage(t, "--shutdown-timeout", "5s")
	a := startApp(t, "a")
	d.must("deploy", "web", "--target", a.target())
	answer, stuck := d.held(t, a), d.slow(t, a, "1m")
	d.upgrade()
	syscall.Kill(d.newest(), syscall.SIGKILL)
	awaitEnd(t, d.newest())
	a.release()
	if body, err := answer(); err != nil || body != "a and close" {
		t.Errorf("a request of the old process got %q, %v", body, err)
	}
	awaitEnd(t, d.lineage()[0])
	if body, err := stuck(); err == nil {
		t.Errorf("a request that takes a minute got %q", body)
	}
	if c, err := net.Dial("tcp", d.address()); err == nil {
		c.Close()
		t.Error("the port is open, and nobody serves it")
	}
}

func TestEndOfTheNewProcessEndsTheOldOnes(t *testing.T) {
	d := startLineage(t, "--shutdown-timeout", "700ms")
	a := startApp(t, "a", echoingSocket())
	d.must("deploy", "web", "--target", a.target())
	answer := d.slow(t, a, "300ms")
	stuck := d.slow(t, a, "1m")
	conn, r := upgrade(t, d, "websocket")
	d.upgrade()
	d.upgrade()
	began := time.Now()
	syscall.Kill(d.newest(), syscall.SIGTERM)
	if body, err := answer(); err != nil || !strings.HasPrefix(body, "a") {
		t.Errorf("a request that could finish in time got %q, %v", body, err)
	}
	if f, err := readFrame(r); err != nil || f.opcode != 8 {
		t.Errorf("the WebSocket got %+v, %v, want Close", f, err)
	}
	conn.Close()
	if body, err := stuck(); err == nil || !strings.HasPrefix(err.Error(), "504 ") {
		t.Errorf("a request that could not got %.40q, %.40v, want 504", body, err)
	}
	for _, pid := range d.lineage() {
		awaitEnd(t, pid)
	}
	if took := awake(began); took > 10*time.Second {
		t.Errorf("it took %v", took)
	}
}

func TestTimeAfterAnUpgradeIsBounded(t *testing.T) {
	t.Parallel()
	const limit = 2 * time.Second
	d := startLineage(t, "--upgrade-timeout", limit.String())
	a := startApp(t, "a", echoingSocket())
	d.must("deploy", "web", "--target", a.target())
	stuck := d.slow(t, a, "1m")
	conn, r := upgrade(t, d, "websocket")
	began := time.Now()
	d.upgrade()
	writeFrame(conn, frame{1, true, []byte("still there")})
	f, err := readFrame(r)
	if err == nil && string(f.payload) == "still there" {
		f, err = readFrame(r)
	} else if took := time.Since(began); took < limit {
		t.Errorf("the WebSocket got %+v, %v after %v, want the echo", f, err, took)
	}
	if err != nil || f.opcode != 8 || string(f.payload[:2]) != "\x03\xe9" {
		t.Errorf("the WebSocket got %+v, %v, want Close with 1001", f, err)
	}
	if body, err := stuck(); err == nil || !strings.HasPrefix(err.Error(), "504 ") {
		t.Errorf("a request beyond the time got %.40q, %.40v, want 504", body, err)
	}
	awaitEnd(t, d.lineage()[0])
}
