package integration

import (
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// peer finds a program that is not ours: pebble is $PEBBLE, or that of the
// PATH, or bin/pebble. Where make integration has checked that all are there,
// a missing one fails the test.
func peer(t *testing.T, name string) string {
	t.Helper()
	for _, candidate := range []string{os.Getenv(strings.ToUpper(name)), name, "../bin/" + name, "/usr/sbin/" + name} {
		if path, err := exec.LookPath(candidate); err == nil {
			return path
		}
	}
	if os.Getenv("KAMAL_PROXY_PEERS") != "" {
		t.Fatalf("%s is not installed", name)
	}
	t.Skipf("%s is not installed; make integration needs it", name)
	return ""
}

// startPeer runs a program until the test ends, and waits until it listens.
func startPeer(t *testing.T, address string, name string, args ...string) {
	t.Helper()
	launch(t, address, exec.Command(name, args...))
}

// launch runs a command until the test ends or stop is called, and waits until
// it listens.
func launch(t *testing.T, address string, cmd *exec.Cmd) (stop func()) {
	t.Helper()
	log := &logBuffer{}
	cmd.Stdout, cmd.Stderr = log, log
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	stop = sync.OnceFunc(func() {
		cmd.Process.Signal(syscall.SIGTERM) // nginx's workers would outlive a kill
		late := time.AfterFunc(patience, func() { cmd.Process.Kill() })
		defer late.Stop()
		cmd.Wait()
	})
	t.Cleanup(func() {
		stop()
		if t.Failed() {
			t.Logf("%s ended with:\n%s", cmd.Path, tail(log.String(), 4000))
		}
	})
	eventually(t, cmd.Path+" listens", func() error {
		conn, err := net.Dial("tcp", address)
		if err != nil {
			return fmt.Errorf("%w\n%s", err, log)
		}
		return conn.Close()
	})
	return stop
}

// startNginx serves a folder, with keep-alive connections.
func startNginx(t *testing.T, root string) (target string) {
	t.Helper()
	nginx := peer(t, "nginx")
	dir, address := t.TempDir(), freeAddress(t)
	user := ""
	if os.Geteuid() == 0 {
		user = "user root;"
	}
	config := fmt.Sprintf(`%s
worker_processes 1;
daemon off;
pid %[2]s/nginx.pid;
error_log stderr error;
events { worker_connections 1024; }
http {
  access_log off;
  keepalive_timeout 300s; keepalive_requests 1000000;
  client_body_temp_path %[2]s; proxy_temp_path %[2]s; fastcgi_temp_path %[2]s; uwsgi_temp_path %[2]s; scgi_temp_path %[2]s;
  server { listen %[3]s; root %[4]s; }
}
`, user, dir, address, root)
	path := filepath.Join(dir, "nginx.conf")
	if err := os.WriteFile(path, []byte(config), 0o600); err != nil {
		t.Fatal(err)
	}
	startPeer(t, address, nginx, "-p", dir, "-c", path, "-e", "stderr")
	return address
}

// startPython serves a folder by python's http.server, which speaks HTTP/1.0
// and closes after each response.
func startPython(t *testing.T, root string) (target string) {
	t.Helper()
	python, address := peer(t, "python3"), freeAddress(t)
	_, port, _ := net.SplitHostPort(address)
	startPeer(t, address, python, "-m", "http.server", port, "--bind", "127.0.0.1", "--directory", root)
	return address
}

func freeAddress(t *testing.T) string { return closedPort(t) }

// site is a folder with a page, a large file and a health-check file.
func site(t *testing.T, name string) string {
	t.Helper()
	dir := t.TempDir()
	for file, text := range map[string]string{"up": "OK", "index.html": name, "large": strings.Repeat(name, 1<<18)} {
		if err := os.WriteFile(filepath.Join(dir, file), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func TestNginxToNginxUnderWrk(t *testing.T) {
	targets := []string{startNginx(t, site(t, "one")), startNginx(t, site(t, "two"))}
	for _, flags := range [][]string{nil, {"--buffer-requests", "--buffer-responses"}} {
		deployUnderWrk(t, targets, 32, flags)
	}
}

// Python's server listens with a backlog of 5, so it gets fewer connections at
// once: beyond that the kernel makes new ones wait for seconds.
func TestNginxToPythonUnderWrk(t *testing.T) {
	deployUnderWrk(t, []string{startNginx(t, site(t, "nginx")), startPython(t, site(t, "python"))}, 4, nil)
}

// deployUnderWrk deploys targets in turn while wrk asks for the page on
// keep-alive connections, and wants no error.
func deployUnderWrk(t *testing.T, targets []string, connections int, flags []string) {
	t.Helper()
	wrk := peer(t, "wrk")
	d := startDaemon(t)
	deploy := func(target string) { d.must(append([]string{"deploy", "web", "--target", target}, flags...)...) }
	deploy(targets[0])
	cmd := exec.Command(wrk, "-t", "2", "-c", strconv.Itoa(connections), "-d", "1m", "--timeout", "15s", d.url("/"))
	var out logBuffer
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	for i := range 6 {
		<-time.After(350 * time.Millisecond) // wrk's own clock runs; nothing is waited for
		deploy(targets[(i+1)%2])
	}
	cmd.Process.Signal(os.Interrupt) // it ends, and says how it was
	if err := cmd.Wait(); err != nil {
		t.Fatalf("wrk: %v\n%s", err, out.String())
	}
	said := out.String()
	if n := wrkRequests(said); n < 50 {
		t.Errorf("wrk sent %d requests:\n%s", n, said)
	}
	if strings.Contains(said, "Non-2xx") || strings.Contains(said, "Socket errors") {
		t.Errorf("wrk saw errors:\n%s", said)
	}
}

func wrkRequests(said string) int {
	m := regexp.MustCompile(`(\d+) requests in`).FindStringSubmatch(said)
	if m == nil {
		return 0
	}
	n, _ := strconv.Atoi(m[1])
	return n
}

func TestFilesFromRealServersArriveWhole(t *testing.T) {
	d := startDaemon(t)
	for name, start := range map[string]func(*testing.T, string) string{"nginx": startNginx, "python": startPython} {
		target := start(t, site(t, name))
		d.must("deploy", name, "--host", name+".example", "--target", target, "--buffer-requests", "--buffer-responses")
		status, body := d.get(name+".example", "/large")
		if want := strings.Repeat(name, 1<<18); status != http.StatusOK || body != want {
			t.Errorf("%s: %d with %d bytes, want %d", name, status, len(body), len(want))
		}
		if status, _ := d.get(name+".example", "/missing"); status != http.StatusNotFound {
			t.Errorf("%s: a missing file answers %d", name, status)
		}
	}
}
