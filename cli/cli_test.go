package cli

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"
)

const patience = 10 * time.Second

// fakeDaemon answers every order and remembers it.
type fakeDaemon struct {
	path   string
	answer string // lines; empty: done

	mu       sync.Mutex
	requests []request
}

type request struct {
	line string // method and path
	body map[string]any
}

func startDaemon(t *testing.T, answer string) *fakeDaemon {
	t.Helper()
	dir, err := os.MkdirTemp("", "kp")
	if err != nil {
		t.Fatal(err)
	}
	d := &fakeDaemon{path: filepath.Join(dir, "s"), answer: answer}
	if answer == "" {
		d.answer = `{"done":true}`
	}
	l, err := net.Listen("unix", d.path)
	if err != nil {
		t.Fatal(err)
	}
	server := &http.Server{Handler: d}
	go server.Serve(l)
	t.Cleanup(func() {
		server.Close()
		os.RemoveAll(dir)
	})
	return d
}

func (d *fakeDaemon) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	got := request{line: r.Method + " " + r.URL.Path}
	json.NewDecoder(r.Body).Decode(&got.body)
	d.mu.Lock()
	d.requests = append(d.requests, got)
	d.mu.Unlock()
	io.WriteString(w, d.answer+"\n")
}

// take returns the requests since the last call.
func (d *fakeDaemon) take() []request {
	d.mu.Lock()
	defer d.mu.Unlock()
	taken := d.requests
	d.requests = nil
	return taken
}

// outcome is what a command left behind.
type outcome struct {
	code           int
	stdout, stderr string
	ran            []RunOptions
}

// execute carries out a command in an environment of its own.
func execute(t *testing.T, env map[string]string, args ...string) outcome {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	var (
		stdout, stderr bytes.Buffer
		o              outcome
	)
	o.code = Execute(ctx, args, func(name string) string { return env[name] }, &stdout, &stderr,
		func(_ context.Context, options RunOptions) error {
			o.ran = append(o.ran, options)
			return nil
		})
	o.stdout, o.stderr = stdout.String(), stderr.String()
	return o
}

func (d *fakeDaemon) env() map[string]string {
	return map[string]string{"KAMAL_PROXY_SOCKET": d.path, "HOME": "/home/kamal-proxy"}
}
