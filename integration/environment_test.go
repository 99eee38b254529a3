package integration

import (
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// startWith runs a daemon with these variables and exactly these arguments.
func startWith(t *testing.T, env []string, args ...string) *daemon {
	t.Helper()
	d := &daemon{t: t, home: shortTempDir(t), env: env, bare: true, args: args}
	d.start()
	t.Cleanup(d.stop)
	return d
}

func TestEveryOptionOfRunHasItsVariables(t *testing.T) {
	free := func() string { _, port, _ := net.SplitHostPort(closedPort(t)); return port }
	one, two, three := free(), free(), free()
	d := startWith(t, []string{"HTTP_PORT=" + one, "KAMAL_PROXY_HTTP_PORT=" + two, "HTTPS_PORT=0", "METRICS_PORT=" + three, "DEBUG=true", "KAMAL_PROXY_MAX_HELD=0"})
	if fmt.Sprint(d.http) != two || fmt.Sprint(d.metric) != three || d.https == 0 {
		t.Errorf("ports %d, %d, %d, want %s, any, %s", d.http, d.https, d.metric, two, three)
	}
	a := startApp(t, "a")
	d.must("deploy", "web", "--target", a.target())
	d.must("pause", "web")
	if code, _ := d.get("any.host", "/"); code != 503 {
		t.Errorf("a request beyond --max-held 0 got %d, want 503", code)
	}
	if !strings.Contains(d.log.String(), `"DEBUG"`) {
		t.Error("DEBUG=true adds no DEBUG lines")
	}

	d = startWith(t, []string{"KAMAL_PROXY_HTTP_PORT=1", "KAMAL_PROXY_HTTPS_PORT=0"}, "--http-port", "0")
	if d.http <= 1 {
		t.Errorf("--http-port 0 gave port %d: the command line counts more than the environment", d.http)
	}

	d = startWith(t, []string{"KAMAL_PROXY_HTTP_PORT=0", "KAMAL_PROXY_HTTPS_PORT=0", "DEBUG=rails:*", "HTTP3=maybe", "METRICS_PORT="})
	if d.metric != 0 {
		t.Errorf("without --metrics-port there are metrics on port %d", d.metric)
	}
	for _, name := range []string{"DEBUG", "HTTP3"} {
		if !strings.Contains(d.log.String(), name) {
			t.Errorf("%s, which does not parse, is ignored without a warning", name)
		}
	}
}

func TestSocketIsWhereTheEnvironmentSays(t *testing.T) {
	if os.Getuid() == 0 {
		defer syscall.Umask(syscall.Umask(0)) // the loosest there is; daemons inherit it
	}
	for _, c := range []struct {
		env  func(dir string) []string
		want string
	}{
		{func(dir string) []string {
			return []string{"KAMAL_PROXY_SOCKET=" + dir + "/s", "XDG_RUNTIME_DIR=" + dir + "/x", "TMPDIR=" + dir + "/t"}
		}, "s"},
		{func(dir string) []string { return []string{"XDG_RUNTIME_DIR=" + dir + "/x", "TMPDIR=" + dir + "/t"} }, "x/kamal-proxy.sock"},
		{func(dir string) []string { return []string{"XDG_RUNTIME_DIR=", "TMPDIR=" + dir + "/t"} }, "t/kamal-proxy.sock"},
	} {
		dir := shortTempDir(t)
		for _, folder := range []string{"x", "t"} {
			if err := os.Mkdir(filepath.Join(dir, folder), 0o755); err != nil {
				t.Fatal(err)
			}
		}
		env := c.env(dir)
		d := startWith(t, env, "--http-port", "0", "--https-port", "0")
		path := filepath.Join(dir, c.want)
		info, err := os.Stat(path)
		if err != nil || info.Mode().Type() != os.ModeSocket || info.Mode().Perm() != 0o600 {
			t.Errorf("%v: %v, %v, want a socket with mode 0600 at %s", env, info, err, c.want)
		}
		if _, stderr, code := d.run("list"); code != 0 {
			t.Errorf("%v: list: %s", env, stderr)
		}
		d.kill()
		if _, err := os.Lstat(path); err != nil {
			t.Errorf("a killed daemon leaves no socket: the test shows nothing (%v)", err)
		}
		d.start() // replaces what was left
		d.stop()
		if _, err := os.Lstat(path); err == nil {
			t.Errorf("%v: the socket is left after SIGTERM", env)
		}
	}
}

func TestBothSignalsStopGracefully(t *testing.T) {
	for _, signal := range []syscall.Signal{syscall.SIGTERM, syscall.SIGINT, syscall.SIGHUP} {
		d := startDaemon(t)
		a := startApp(t, "a")
		d.must("deploy", "web", "--target", a.target())
		answer := make(chan string, 1)
		go func() {
			_, body := d.get("any.host", "/slow?700ms")
			answer <- body
		}()
		awaitServed(t, a, 1)
		d.signal(signal)
		if body := <-answer; body != "a" {
			t.Errorf("%s: the request under way got %q", signal, body)
		}
		if code := d.cmd.ProcessState.ExitCode(); code != 0 {
			t.Errorf("%s: exit %d", signal, code)
		}
	}
}
