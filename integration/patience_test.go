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
	if took := time.Since(began); code != http.StatusGatewayTimeout || took > 10*time.Second {
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
