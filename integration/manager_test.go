package integration

import (
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// manager is a fake systemd: it hears what services tell it.
type manager struct {
	t    *testing.T
	path string
	conn *net.UnixConn
}

func newManager(t *testing.T) *manager {
	t.Helper()
	path := filepath.Join(shortTempDir(t), "notify")
	conn, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: path, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	return &manager{t, path, conn}
}

// next returns the lines of the next message, of none when the time is up.
func (m *manager) next(within time.Duration) []string {
	m.t.Helper()
	m.conn.SetReadDeadline(time.Now().Add(within))
	packet := make([]byte, 4096)
	n, err := m.conn.Read(packet)
	if errors.Is(err, os.ErrDeadlineExceeded) {
		return nil
	}
	if err != nil {
		m.t.Fatal(err)
	}
	return strings.Split(string(packet[:n]), "\n")
}

// hears waits for a message with a line.
func (m *manager) hears(line string) []string {
	m.t.Helper()
	for deadline := time.Now().Add(patience); time.Now().Before(deadline); {
		if message := m.next(time.Until(deadline)); slices.Contains(message, line) {
			return message
		}
	}
	m.t.Fatalf("the manager never heard %s", line)
	return nil
}

func TestServiceManagerHearsHowItIs(t *testing.T) {
	t.Parallel()
	m := newManager(t)
	d := newDaemon(t)
	d.env = []string{"NOTIFY_SOCKET=" + m.path, "WATCHDOG_USEC=1000000"}
	began := time.Now()
	d.start()
	own := "MAINPID=" + strconv.Itoa(d.cmd.Process.Pid)
	if got := m.hears("READY=1"); !slices.Contains(got, own) || !strings.Contains(strings.Join(got, " "), strconv.Itoa(d.http)) {
		t.Errorf("ready is told by %q, want %s and a status with port %d", got, own, d.http)
	}
	for range 3 {
		m.hears("WATCHDOG=1")
	}

	d.cmd.Process.Signal(syscall.SIGSTOP)
	for m.next(700*time.Millisecond) != nil { // what was said before
	}
	d.cmd.Process.Signal(syscall.SIGCONT)
	m.hears("WATCHDOG=1")

	d.cmd.Process.Signal(syscall.SIGTERM)
	m.hears("STOPPING=1")
	<-d.exited
	for _, sign := range []string{"TLS handshake", `"Request"`, "watchdog", `"level":"ERROR"`} {
		if strings.Contains(d.log.String(), sign) && stoodStill(began) < 200*time.Millisecond {
			t.Errorf("being watched left %s in the log:\n%s", sign, d.log)
		}
	}
}

// A house that is full is alive: a restart would cut off everybody in it.
func TestAFullHouseIsAlive(t *testing.T) {
	t.Parallel()
	m := newManager(t)
	d := newDaemon(t, "--max-connections", "2", "--shutdown-timeout", "100ms")
	d.env = []string{"NOTIFY_SOCKET=" + m.path, "WATCHDOG_USEC=1000000"}
	began := time.Now()
	d.start()
	a := startApp(t, "a")
	d.must("deploy", "web", "--target", a.target())
	for range 2 {
		d.slow(t, a, "1m")
	}
	outside := dial(t, d) // waits for one of them to go
	fmt.Fprint(outside, "GET / HTTP/1.1\r\nHost: a.example\r\n\r\n")
	if !pending(outside) {
		t.Fatal("there is room for one more")
	}
	for m.next(50*time.Millisecond) != nil { // what was said before
	}
	for range 3 {
		m.hears("WATCHDOG=1")
	}
	if strings.Contains(d.log.String(), "watchdog") && stoodStill(began) < 200*time.Millisecond {
		t.Errorf("it takes itself for ill:\n%s", tail(d.log.String(), 1000))
	}
}

func TestServiceManagerHearsOfAnUpgrade(t *testing.T) {
	m := newManager(t)
	d := newDaemon(t)
	t.Cleanup(d.endLineage)
	d.env = []string{"NOTIFY_SOCKET=" + m.path, "WATCHDOG_USEC=1000000"}
	d.start()
	m.hears("READY=1")

	d.run("upgrade", "--binary", filepath.Join(d.home, "none"))
	if got := m.hears("RELOADING=1"); !strings.HasPrefix(got[1], "MONOTONIC_USEC=") {
		t.Errorf("an upgrade begins with %q, want the time in it", got)
	}
	if got := m.hears("READY=1"); !slices.Contains(got, "MAINPID="+strconv.Itoa(d.newest())) {
		t.Errorf("a failed upgrade ends with %q, want the same process", got)
	}

	old := d.newest()
	d.upgrade()
	m.hears("RELOADING=1")
	main := "MAINPID=" + strconv.Itoa(d.newest())
	if got := m.hears("READY=1"); got[0] != main {
		t.Errorf("an upgrade ends with %q, want %s", got, main)
	}
	awaitEnd(t, old)

	wrapper := filepath.Join(d.home, "wrapper") // what serves is a child of what was started
	if err := os.WriteFile(wrapper, fmt.Appendf(nil, "#!/bin/sh\n%s \"$@\"\nexit\n", program), 0o755); err != nil {
		t.Fatal(err)
	}
	old = d.newest()
	d.upgrade("--binary", wrapper)
	m.hears("RELOADING=1")
	main = "MAINPID=" + strconv.Itoa(d.newest())
	if got := m.hears("READY=1"); got[0] != main {
		t.Errorf("an upgrade to a script ends with %q, want %s", got, main)
	}
	awaitEnd(t, old)
	syscall.Kill(d.newest(), syscall.SIGTERM)
	for ready, alive := 0, 0; ; {
		message := m.next(patience)
		switch {
		case slices.Contains(message, "WATCHDOG=1"):
			alive++
		case slices.Contains(message, "READY=1"):
			ready++
		case slices.Contains(message, "STOPPING=1"):
			if ready != 1 || alive == 0 {
				t.Errorf("the new process said %d times that it is ready, and %d times that it is alive", ready, alive)
			}
			return
		default:
			t.Fatalf("the manager heard %q", message)
		}
	}
}

// The sockets of a socket unit are served, and stay systemd's when the service
// ends: who connects meanwhile is served by the next one.
func TestSocketActivation(t *testing.T) {
	dir := shortTempDir(t)
	path := filepath.Join(dir, "kamal-proxy.sock")
	var sockets []*os.File
	ports := map[string]int{}
	for _, name := range []string{"http", "https"} {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
		ports[name] = l.Addr().(*net.TCPAddr).Port
		sockets = append(sockets, fileOf(t, l))
	}
	orders, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	defer orders.Close()
	sockets = append(sockets, fileOf(t, orders))

	start := func() *daemon {
		d := newDaemon(t)
		d.home, d.bare = dir, true
		d.args = []string{"--http-port", strconv.Itoa(ports["http"]), "--https-port", strconv.Itoa(ports["https"])}
		d.activate = func(cmd *exec.Cmd) {
			// systemd knows the number of the process that it starts; a shell
			// that becomes the program knows its own.
			cmd.Args = append([]string{"sh", "-c", `LISTEN_PID=$$ exec "$0" "$@"`, cmd.Path}, cmd.Args[1:]...)
			cmd.Path = "/bin/sh"
			cmd.Env = append(cmd.Env, "LISTEN_FDS=3", "LISTEN_FDNAMES=kamal-proxy.socket:kamal-proxy.socket:kamal-proxy.socket")
			cmd.ExtraFiles = sockets
		}
		d.start()
		return d
	}
	d := start()
	a := startApp(t, "a")
	d.must("deploy", "web", "--target", a.target())
	if _, body := d.get("web.example", "/"); body != "a" {
		t.Errorf("a request was answered %q, want a", body)
	}
	d.stop()

	early, err := net.Dial("tcp", d.address())
	if err != nil {
		t.Fatalf("while no service runs, a connection is refused: %v", err)
	}
	defer early.Close()
	start()
	early.SetDeadline(time.Now().Add(patience))
	early.Write([]byte("GET / HTTP/1.1\r\nHost: web.example\r\n\r\n"))
	answer := make([]byte, 15)
	if n, err := early.Read(answer); err != nil || string(answer[:n]) != "HTTP/1.1 200 OK" {
		t.Errorf("who connected before the service ran got %q, %v, want 200", answer[:n], err)
	}
}

// systemd's own tool starts the proxy when somebody connects.
func TestSystemdsOwnActivation(t *testing.T) {
	tool, err := exec.LookPath("systemd-socket-activate")
	if err != nil {
		t.Skip("NOT CHECKED: systemd-socket-activate, of Debian's systemd, is not there")
	}
	d := newDaemon(t)
	d.env = []string{"HOME=" + d.home}
	plain, secure := freeAddress(t), freeAddress(t)
	cmd := exec.Command(tool, "--listen="+plain, "--listen="+secure, "--fdname=http:https",
		"--setenv=HOME="+d.home, "--setenv=XDG_RUNTIME_DIR="+d.home, program, "run")
	cmd.Env = d.environment()
	log := &logBuffer{}
	cmd.Stdout, cmd.Stderr = log, log
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer cmd.Wait()
	defer cmd.Process.Signal(syscall.SIGTERM)
	eventually(t, "who connects is answered", func() error {
		conn, err := net.Dial("tcp", plain)
		if err != nil {
			return err
		}
		defer conn.Close()
		conn.SetDeadline(time.Now().Add(patience))
		conn.Write([]byte("GET / HTTP/1.1\r\nHost: a.example\r\n\r\n"))
		answer := make([]byte, 12)
		if n, err := conn.Read(answer); err != nil || string(answer[:n]) != "HTTP/1.1 404" {
			t.Fatalf("got %q, %v, want the proxy's 404; the log:\n%s", answer[:n], err, log)
		}
		return nil
	})
}

func fileOf(t *testing.T, l net.Listener) *os.File {
	t.Helper()
	file, err := l.(interface{ File() (*os.File, error) }).File()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { file.Close() })
	return file
}
