package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httptrace"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"
)

// output is a writer that a test reads while the program writes.
type output struct {
	mu   sync.Mutex
	data bytes.Buffer
}

func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.data.Write(p)
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.data.String()
}

// started waits for the start line and returns the HTTP port.
func (o *output) started(t *testing.T) int {
	t.Helper()
	for deadline := time.Now().Add(20 * time.Second); time.Now().Before(deadline); <-time.After(5 * time.Millisecond) {
		for line := range strings.SplitSeq(o.String(), "\n") {
			var start struct {
				Msg  string
				HTTP int
			}
			if json.Unmarshal([]byte(line), &start) == nil && start.Msg == "Server started" {
				return start.HTTP
			}
		}
	}
	t.Fatalf("the program did not start:\n%s", o)
	return 0
}

// The whole program, used and ended, leaves no goroutine behind.
func TestNothingIsLeftAfterShutdown(t *testing.T) {
	ignore := goleak.IgnoreCurrent()
	app := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, "hello") }))
	home, err := os.MkdirTemp("", "kp")
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(home)
	env := func(key string) string {
		return map[string]string{"HOME": home, "XDG_RUNTIME_DIR": home}[key]
	}
	command := func(args ...string) {
		t.Helper()
		var stderr bytes.Buffer
		if code := run(context.Background(), args, env, io.Discard, &stderr); code != 0 {
			t.Errorf("%v: exit %d, %s", args, code, stderr.String())
		}
	}

	ctx, stop := context.WithCancel(context.Background())
	out, code := &output{}, make(chan int, 1)
	go func() {
		code <- run(ctx, []string{"run", "--http-port", "0", "--https-port", "0", "--http3"}, env, out, out)
	}()
	url := fmt.Sprintf("http://127.0.0.1:%d/", out.started(t))

	target := app.Listener.Addr().String()
	command("deploy", "web", "--target", target)
	command("deploy", "two", "--host", "two.example", "--target", target, "--target", target)
	client := &http.Client{Transport: &http.Transport{}}
	response, err := client.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	body, err := io.ReadAll(response.Body)
	response.Body.Close()
	if err != nil || string(body) != "hello" {
		t.Errorf("got %q, %v", body, err)
	}
	command("pause", "web")
	command("remove", "two")
	held, sent := make(chan int, 1), make(chan struct{}, 2)
	go func() {
		trace := &httptrace.ClientTrace{WroteRequest: func(httptrace.WroteRequestInfo) { sent <- struct{}{} }}
		request, err := http.NewRequestWithContext(httptrace.WithClientTrace(t.Context(), trace), http.MethodGet, url, nil)
		if err != nil {
			held <- 0
			return
		}
		response, err := client.Do(request)
		if err != nil {
			held <- 0
			return
		}
		response.Body.Close()
		held <- response.StatusCode
	}()
	<-sent
	waitForHeld(t, held)

	stop()
	if c := <-code; c != 0 {
		t.Errorf("run ended with %d:\n%s", c, out)
	}
	if status := <-held; status != http.StatusServiceUnavailable {
		t.Errorf("the request that waited got %d, want 503", status)
	}
	client.CloseIdleConnections()
	app.Close()
	for deadline := time.Now().Add(20 * time.Second); ; {
		err := goleak.Find(ignore)
		if err == nil {
			break
		}
		if time.Now().After(deadline) {
			t.Fatal(err)
		}
	}
}

// waitForHeld gives a request the time to get to the pause; were it answered,
// the pause would be broken.
func waitForHeld(t *testing.T, held chan int) {
	t.Helper()
	select {
	case status := <-held:
		t.Errorf("a paused service answered %d", status)
		held <- status
	case <-time.After(200 * time.Millisecond):
	}
}
