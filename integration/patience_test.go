package integration

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"syscall"
	"testing"
	"time"
)

func TestHalfAHeadIsNotWaitedForForEver(t *testing.T) {
	t.Parallel()
	d := startDaemon(t)
	c := dial(t, d)
	c.SetDeadline(time.Now().Add(2 * patience))
	began := time.Now()
	fmt.Fprint(c, "GET / HTTP/1.1\r\nHost: a.exam")
	if _, err := io.ReadAll(c); err != nil {
		t.Errorf("after %s: %v, want the connection closed", time.Since(began), err)
	}
}

// A target whose host answers no SYN: its queue of new connections is full.
func TestTargetTimeoutCountsConnecting(t *testing.T) {
	d := startDaemon(t)
	target := silent(t)
	d.must("deploy", "web", "--target", target, "--force", "--target-timeout", "500ms")
	began := time.Now()
	code, _ := d.get("any.host", "/")
	if took := awake(began); code != http.StatusGatewayTimeout || took > 10*time.Second {
		t.Errorf("%d after %s, want 504 after 0.5s", code, took)
	}
}

// silent is an address where connections are neither accepted nor refused.
func silent(t *testing.T) string {
	t.Helper()
	listen, err := syscall.Socket(syscall.AF_INET, syscall.SOCK_STREAM, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { syscall.Close(listen) })
	if err := syscall.Bind(listen, &syscall.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Listen(listen, 0); err != nil {
		t.Fatal(err)
	}
	address, err := syscall.Getsockname(listen)
	if err != nil {
		t.Fatal(err)
	}
	for range 8 { // until the queue takes no more
		c, err := syscall.Socket(syscall.AF_INET, syscall.SOCK_STREAM|syscall.SOCK_NONBLOCK, 0)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { syscall.Close(c) })
		syscall.Connect(c, address)
	}
	return fmt.Sprintf("127.0.0.1:%d", address.(*syscall.SockaddrInet4).Port)
}

func TestNoTargetTimeoutIsNoLimit(t *testing.T) {
	t.Parallel()
	d := startDaemon(t)
	a := startApp(t, "a")
	d.must("deploy", "web", "--target", a.target(), "--target-timeout", "0s")
	if code, _ := d.get("any.host", "/slow?2s"); code != http.StatusOK {
		t.Errorf("got %d", code)
	}
	d.must("deploy", "web", "--target", a.target(), "--target-timeout", "300ms")
	if code, body := d.get("any.host", "/slow?5s"); code != http.StatusGatewayTimeout || !strings.Contains(body, "504 Gateway Timeout") {
		t.Errorf("got %d", code)
	}
}

func TestEndIsInTimeForDocker(t *testing.T) {
	t.Parallel()
	d := startDaemon(t)
	a := startApp(t, "a")
	d.must("deploy", "web", "--target", a.target())
	d.must("deploy", "held", "--target", a.target(), "--host", "held.example")
	d.must("pause", "held")
	cut := make(chan int, 1)
	go func() {
		response, err := http.Get(d.url("/slow?60s"))
		if err != nil {
			cut <- 0
			return
		}
		response.Body.Close()
		cut <- response.StatusCode
	}()
	awaitServed(t, a, 1)
	held := dial(t, d)
	fmt.Fprint(held, "GET / HTTP/1.1\r\nHost: held.example\r\n\r\n")
	if !pending(held) {
		t.Fatal("the request is not held")
	}
	began := time.Now()
	d.stop()
	if took := awake(began); took > 10*time.Second {
		t.Errorf("SIGTERM took %s; docker kills after 10s", took)
	}
	if said, err := io.ReadAll(held); err != nil || status(string(said)) != "503" {
		t.Errorf("a held request got %.40q, %v, want 503", said, err)
	}
	if code := <-cut; code != http.StatusGatewayTimeout {
		t.Errorf("the endless request got %d, want 504", code)
	}
	for _, r := range d.requests() {
		if r["query"] == "60s" && r["status"] != float64(http.StatusGatewayTimeout) {
			t.Errorf("the endless request is logged with %v", r["status"])
		}
	}
}
