package integration

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// program is the program under test, built once.
var program string

// buildFlags are go build's; with the race detector, -race is one of them.
var buildFlags = []string{"-trimpath"}

func TestMain(m *testing.M) {
	dir, err := os.MkdirTemp("", "kp")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	program = filepath.Join(dir, "kamal-proxy")
	build := exec.Command("go", append(append([]string{"build"}, buildFlags...), "-o", program, "kamal-proxy")...)
	if out, err := build.CombinedOutput(); err != nil {
		fmt.Fprintf(os.Stderr, "the program does not build: %v\n%s", err, out)
		os.Exit(1)
	}
	go takePulse()
	code := m.Run()
	os.RemoveAll(dir)
	os.Exit(code)
}

// patience is how long anything that must happen may take on a busy machine.
const patience = 20 * time.Second

// daemon is a running `kamal-proxy run`.
type daemon struct {
	t        *testing.T
	home     string
	args     []string
	env      []string        // beside the usual
	bare     bool            // args are all there are
	as       uint32          // the user that runs it; 0: the test's
	activate func(*exec.Cmd) // changes the command before it starts; may be nil
	cmd      *exec.Cmd
	exited   chan struct{}
	log      *logBuffer
	http     int
	https    int
	metric   int
}

// startDaemon runs a daemon on free ports until the test ends.
func startDaemon(t *testing.T, args ...string) *daemon {
	t.Helper()
	d := newDaemon(t, args...)
	d.start()
	return d
}

// newDaemon makes a daemon that is yet to be started, and ends with the test.
func newDaemon(t *testing.T, args ...string) *daemon {
	t.Helper()
	d := &daemon{t: t, home: shortTempDir(t), args: args}
	t.Cleanup(func() {
		if d.cmd == nil || d.cmd.Process == nil {
			return
		}
		d.stop()
		if strings.Contains(d.log.String(), "WARNING: DATA RACE") {
			_, race, _ := strings.Cut(d.log.String(), "WARNING: DATA RACE")
			t.Errorf("the daemon has a data race: %s", race[:min(len(race), 4000)])
		}
		if t.Failed() {
			t.Logf("the daemon's log ended with:\n%s", tail(d.log.String(), 4000))
		}
	})
	return d
}

// shortTempDir is a folder whose path leaves room for a socket's name.
func shortTempDir(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "kp")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	return dir
}

func (d *daemon) environment() []string {
	return append([]string{
		"PATH=" + os.Getenv("PATH"), "HOME=" + d.home, "XDG_RUNTIME_DIR=" + d.home,
		"GORACE=atexit_sleep_ms=0", // or each command takes a second more
	}, d.env...)
}

// start starts the daemon, again after stop or kill, with the same state.
func (d *daemon) start() {
	d.t.Helper()
	args := append([]string{"run", "--http-port", "0", "--https-port", "0"}, d.args...)
	if d.bare {
		args = append([]string{"run"}, d.args...)
	}
	d.cmd = exec.Command(program, args...)
	d.cmd.Env = d.environment()
	d.log = &logBuffer{}
	d.cmd.Stdout, d.cmd.Stderr = d.log, d.log
	d.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if d.as != 0 {
		d.cmd.SysProcAttr.Credential = &syscall.Credential{Uid: d.as, Gid: d.as}
	}
	if d.activate != nil {
		d.activate(d.cmd)
	}
	if err := d.cmd.Start(); err != nil {
		d.t.Fatal(err)
	}
	d.exited = make(chan struct{})
	go func(cmd *exec.Cmd, exited chan struct{}) {
		cmd.Wait()
		close(exited)
	}(d.cmd, d.exited)
	d.awaitStart()
}

// awaitStart waits for the line that tells the ports.
func (d *daemon) awaitStart() {
	d.t.Helper()
	eventually(d.t, "the daemon starts", func() error {
		for _, line := range d.log.lines() {
			var started struct {
				Msg                  string
				HTTP, HTTPS, Metrics int
			}
			if json.Unmarshal([]byte(line), &started) == nil && started.Msg == "Server started" {
				d.http, d.https, d.metric = started.HTTP, started.HTTPS, started.Metrics
				return nil
			}
		}
		select {
		case <-d.exited:
			d.t.Fatalf("the daemon has ended:\n%s", d.log.String())
		default:
		}
		return fmt.Errorf("no start line in:\n%s", d.log.String())
	})
}

// stop ends the daemon as docker stop does.
func (d *daemon) stop() { d.signal(syscall.SIGTERM) }

// kill ends it as a power cut does.
func (d *daemon) kill() { d.signal(syscall.SIGKILL) }

func (d *daemon) signal(s syscall.Signal) {
	d.t.Helper()
	select {
	case <-d.exited:
		return
	default:
	}
	d.cmd.Process.Signal(s)
	select {
	case <-d.exited:
	case <-time.After(patience):
		d.cmd.Process.Kill()
		<-d.exited
		d.t.Errorf("the daemon did not end after %s", s)
	}
}

// run runs a command against the daemon, and returns what it said on stderr.
func (d *daemon) run(args ...string) (stdout, stderr string, code int) {
	d.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 90*time.Second)
	defer cancel()
	cmd := exec.CommandContext(ctx, program, args...)
	cmd.Env = d.environment()
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	err := cmd.Run()
	if ctx.Err() != nil {
		d.t.Errorf("kamal-proxy %s did not end", strings.Join(args, " "))
	}
	if err != nil && cmd.ProcessState == nil {
		d.t.Errorf("kamal-proxy %s: %v", strings.Join(args, " "), err)
		return out.String(), errs.String(), -1
	}
	return out.String(), errs.String(), cmd.ProcessState.ExitCode()
}

// must runs a command that has to succeed, silently.
func (d *daemon) must(args ...string) {
	d.t.Helper()
	stdout, stderr, code := d.run(args...)
	if code != 0 || stdout != "" || stderr != "" {
		d.t.Fatalf("kamal-proxy %s: exit %d, stdout %q, stderr %q, want success in silence", strings.Join(args, " "), code, stdout, stderr)
	}
}

// refused runs a command that has to fail with one line on stderr.
func (d *daemon) refused(want string, args ...string) {
	d.t.Helper()
	_, stderr, code := d.run(args...)
	if code != 1 || !strings.HasPrefix(stderr, "Error: ") || strings.Count(stderr, "\n") != 1 || !strings.Contains(stderr, want) {
		d.t.Errorf("kamal-proxy %q: exit %d, stderr %q, want exit 1 and one line with %q", args, code, stderr, want)
	}
}

func (d *daemon) url(path string) string { return fmt.Sprintf("http://127.0.0.1:%d%s", d.http, path) }

func (d *daemon) address() string { return fmt.Sprintf("127.0.0.1:%d", d.http) }

// get asks for a path of a host, on a connection of its own.
func (d *daemon) get(host, path string) (status int, body string) {
	d.t.Helper()
	request, err := http.NewRequest(http.MethodGet, d.url(path), nil)
	if err != nil {
		d.t.Fatal(err)
	}
	request.Host, request.Close = host, true
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		d.t.Errorf("GET %s of %s: %v", path, host, err)
		return 0, ""
	}
	defer response.Body.Close()
	data, err := io.ReadAll(response.Body)
	if err != nil {
		d.t.Errorf("GET %s of %s: %v", path, host, err)
	}
	return response.StatusCode, string(data)
}

// requests returns the access log's lines so far.
func (d *daemon) requests() []map[string]any {
	var requests []map[string]any
	for _, line := range d.log.lines() {
		var fields map[string]any
		if json.Unmarshal([]byte(line), &fields) == nil && fields["msg"] == "Request" {
			requests = append(requests, fields)
		}
	}
	return requests
}

// logBuffer keeps what a daemon writes.
type logBuffer struct {
	mu   sync.Mutex
	data bytes.Buffer
	last int // how many bytes at least are kept; 0: all
}

func (b *logBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.last > 0 && b.data.Len() > 2*b.last {
		b.data.Next(b.data.Len() - b.last)
	}
	return b.data.Write(p)
}

// keepLast makes a buffer forget what is older than its last n bytes.
func (b *logBuffer) keepLast(n int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.last = n
}

func (b *logBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.data.String()
}

func (b *logBuffer) lines() []string { return strings.Split(b.String(), "\n") }

// eventually polls until check finds nothing to say.
func eventually(t *testing.T, what string, check func() error) {
	t.Helper()
	deadline := time.Now().Add(patience)
	for {
		err := check()
		if err == nil {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("%s: %v", what, err)
		}
		<-time.After(10 * time.Millisecond)
	}
}

func tail(s string, n int) string { return s[max(0, len(s)-n):] }
