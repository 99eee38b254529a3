package integration

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

func TestUpgradeHandsOverPortsSocketAndServices(t *testing.T) {
	d := startLineage(t, "--metrics-port", "0")
	blue, green := startApp(t, "blue"), startApp(t, "green")
	d.must("deploy", "web", "--target", blue.target())
	d.must("deploy", "shop", "--host", "shop.example", "--target", green.target())
	d.must("stop", "shop", "--message", "closed today")

	old := d.newest()
	said := d.upgrade()
	if want := fmt.Sprintf("serves as process %d; process %d ", d.newest(), old); !strings.Contains(said, want) {
		t.Errorf("upgrade said %q, want %q", said, want)
	}
	awaitEnd(t, old)
	if status, body := d.get("a.example", "/"); status != 200 || body != "blue" {
		t.Errorf("got %d, %q after the upgrade, want blue", status, body)
	}
	if status, body := d.get("shop.example", "/"); status != 503 || !strings.Contains(body, "closed today") {
		t.Errorf("got %d, %q of a stopped service after the upgrade", status, body)
	}
	d.must("resume", "shop")
	d.must("deploy", "web", "--target", green.target())
	if status, body := d.get("a.example", "/"); status != 200 || body != "green" {
		t.Errorf("got %d, %q after a deploy to the new process, want green", status, body)
	}

	d.endLineage() // what the new process was told is on disk, and its socket gone
	<-d.exited
	if code := d.cmd.ProcessState.ExitCode(); code != 0 {
		t.Errorf("the first process ended with %d, want 0", code)
	}
	if _, err := os.Lstat(filepath.Join(d.home, "kamal-proxy.sock")); !os.IsNotExist(err) {
		t.Errorf("the socket of the last process is left: %v", err)
	}
	d.start()
	if status, body := d.get("shop.example", "/"); status != 200 || body != "green" {
		t.Errorf("got %d, %q after a restart, want green", status, body)
	}
}

func TestUpgradesUnderLoadLoseNothing(t *testing.T) {
	d := startLineage(t)
	a := startApp(t, "a", echoingSocket())
	certPath, keyPath, pool := certificate(t, t.TempDir(), "localhost")
	d.must("deploy", "web", "--target", a.target())
	d.must("deploy", "tls", "--target", a.target(), "--host", "localhost", "--tls", "--tls-certificate-path", certPath, "--tls-private-key-path", keyPath)
	h1, h2 := secure(d, pool), secure(d, pool)
	for _, client := range []*http.Client{h1, h2} {
		transport := client.Transport.(*http.Transport)
		transport.DisableKeepAlives = false
		transport.MaxConnsPerHost, transport.MaxIdleConnsPerHost = 4, 4
	}
	h1.Transport.(*http.Transport).ForceAttemptHTTP2 = false
	loads := []*load{
		startLoadOf(2, paced(func(client *http.Client) (string, error) { return fetch(client, d.url("/")) })),
		startLoadOf(2, paced(func(*http.Client) (string, error) { return fetch(h1, "https://localhost/") })),
		startLoadOf(4, paced(func(*http.Client) (string, error) { return fetch(h2, "https://localhost/") })),
		startLoadOf(1, paced(func(client *http.Client) (string, error) { // connections of one request
			request, err := http.NewRequest(http.MethodGet, d.url("/"), nil)
			if err != nil {
				return "", err
			}
			request.Close = true
			response, err := client.Do(request)
			if err != nil {
				return "", err
			}
			return whole(response)
		})),
	}
	conn, r := upgrade(t, d, "websocket")
	for i := range 10 {
		d.upgrade()
		for _, l := range loads {
			l.awaitMore(t, 20)
		}
		echoes(t, conn, r, fmt.Sprintf("after upgrade %d", i+1))
	}
	first := d.lineage()[0]
	if !alive(first) {
		t.Error("the first process has ended before its WebSocket has")
	}
	conn.Close()
	for _, l := range loads {
		l.stop(t)
	}
	h1.CloseIdleConnections()
	h2.CloseIdleConnections()
	for _, pid := range d.lineage()[:10] {
		awaitEnd(t, pid)
	}
}

// paced leaves some of the machine to the processes that start.
func paced(ask func(*http.Client) (string, error)) func(*http.Client) (string, error) {
	return func(client *http.Client) (string, error) {
		<-time.After(time.Millisecond)
		return ask(client)
	}
}

// echoingSocket adds a WebSocket that echoes.
func echoingSocket() func(*http.ServeMux) {
	return switching("websocket", func(conn net.Conn, r *bufio.Reader) {
		for {
			f, err := readFrame(r)
			if err != nil || f.opcode == 8 {
				return
			}
			writeFrame(conn, frame{opcode: f.opcode, payload: f.payload})
		}
	})
}

func echoes(t *testing.T, conn net.Conn, r io.Reader, text string) {
	t.Helper()
	conn.SetDeadline(time.Now().Add(patience))
	if err := writeFrame(conn, frame{1, true, []byte(text)}); err != nil {
		t.Fatal(err)
	}
	if f, err := readFrame(r); err != nil || string(f.payload) != text {
		t.Fatalf("echo of %q: %q, %v", text, f.payload, err)
	}
}

// slow sends a request that the app answers after a while, and returns what reads
// the answer, and whether the connection is to be closed.
func (d *daemon) slow(t *testing.T, a *app, wait string) func() (string, error) {
	t.Helper()
	return d.underWay(t, a, "/slow?"+wait)
}

// held is slow, until the app releases the request.
func (d *daemon) held(t *testing.T, a *app) func() (string, error) {
	t.Helper()
	return d.underWay(t, a, "/held")
}

func (d *daemon) underWay(t *testing.T, a *app, path string) func() (string, error) {
	t.Helper()
	c, before := dial(t, d), a.served.Load()
	fmt.Fprintf(c, "GET %s HTTP/1.1\r\nHost: a.example\r\n\r\n", path)
	awaitServed(t, a, before+1)
	return func() (string, error) {
		r := bufio.NewReader(c)
		response, err := http.ReadResponse(r, nil)
		if err != nil {
			return "", err
		}
		body, err := whole(response)
		if response.Close {
			body += " and close"
		}
		return body, err
	}
}

func TestRequestsFinishInTheProcessWhereTheyBegan(t *testing.T) {
	t.Parallel()
	d := startLineage(t)
	a := startApp(t, "a")
	d.must("deploy", "web", "--target", a.target())
	idle := dial(t, d)
	fmt.Fprint(idle, "GET / HTTP/1.1\r\nHost: a.example\r\n\r\n")
	again := bufio.NewReader(idle)
	if response, err := http.ReadResponse(again, nil); err != nil || response.Close {
		t.Fatalf("the first request on a connection: %+v, %v", response, err)
	} else if _, err := whole(response); err != nil {
		t.Fatal(err)
	}
	before := a.finished.Load()
	answer := d.held(t, a)
	old := d.newest()
	d.upgrade()
	if !alive(old) || a.finished.Load() != before {
		t.Fatal("the upgrade waited for a request under way")
	}
	a.release()
	if body, err := answer(); err != nil || body != "a and close" {
		t.Errorf("a request across the upgrade got %q, %v", body, err)
	}
	<-time.After(500 * time.Millisecond) // longer than idle connections have where nobody takes over
	fmt.Fprint(idle, "GET / HTTP/1.1\r\nHost: a.example\r\n\r\n")
	if response, err := http.ReadResponse(again, nil); err != nil || response.StatusCode != 200 || !response.Close {
		t.Errorf("a request on a connection that was idle for a while: %+v, %v, want 200 and Connection: close", response, err)
	}
	awaitEnd(t, old)
	d.upgradeBySignal(syscall.SIGUSR2)
	if status, _ := d.get("a.example", "/"); status != 200 {
		t.Errorf("got %d after an upgrade by SIGUSR2", status)
	}
}

func (d *daemon) upgradeBySignal(s syscall.Signal) {
	d.t.Helper()
	before := len(d.lineage())
	if err := syscall.Kill(d.newest(), s); err != nil {
		d.t.Fatal(err)
	}
	d.awaitSuccessor(before)
}

func TestOrdersDuringAnUpgradeReachTheNewProcess(t *testing.T) {
	d := startLineage(t)
	a, b := startApp(t, "a"), startApp(t, "b")
	d.must("deploy", "web", "--target", a.target())
	answer := d.held(t, a)
	codes := make(chan string, 3)
	order := func(args ...string) {
		go func() {
			_, stderr, code := d.run(args...)
			codes <- fmt.Sprintf("%s: exit %d, %s", args[0], code, stderr)
		}()
	}
	order("deploy", "web", "--target", b.target()) // under way: drains
	eventually(t, "the switch", func() error {
		if _, body := d.get("a.example", "/"); body != "b" {
			return fmt.Errorf("got %q", body)
		}
		return nil
	})
	order("upgrade")
	eventually(t, "the upgrade begins", func() error {
		if !strings.Contains(d.log.String(), `"msg":"Upgrading"`) {
			return fmt.Errorf("it has not")
		}
		return nil
	})
	d.refused("an upgrade is under way already", "upgrade")
	order("stop", "web", "--message", "later")
	select {
	case said := <-codes:
		t.Fatalf("while a request of before is under way: %s", said)
	case <-time.After(300 * time.Millisecond):
	}
	a.release()
	for range 3 {
		if said := <-codes; !strings.HasSuffix(said, "exit 0, ") {
			t.Error(said)
		}
	}
	if body, err := answer(); err != nil || !strings.HasPrefix(body, "a") {
		t.Errorf("the request got %q, %v", body, err)
	}
	d.awaitSuccessor(1)
	if status, body := d.get("a.example", "/"); status != 503 || !strings.Contains(body, "later") {
		t.Errorf("got %d, %q, want the stop that was ordered during the upgrade", status, body)
	}
	var state string
	for _, line := range d.log.lines() {
		var fields map[string]any
		if json.Unmarshal([]byte(line), &fields) == nil && (fields["msg"] == "Upgraded" || fields["msg"] == "Stopped") {
			state += fields["msg"].(string) + " "
		}
	}
	if !strings.HasPrefix(state, "Upgraded Stopped") {
		t.Errorf("the log says %q, want the upgrade first", state)
	}
}

func TestSecondSignalEndsAtOnce(t *testing.T) {
	d := startDaemon(t, "--shutdown-timeout", "1m")
	a := startApp(t, "a")
	d.must("deploy", "web", "--target", a.target())
	stuck := d.slow(t, a, "1m")
	d.cmd.Process.Signal(syscall.SIGTERM)
	eventually(t, "the daemon stops", func() error {
		if !strings.Contains(d.log.String(), "Server stopping") {
			return fmt.Errorf("it does not")
		}
		return nil
	})
	d.cmd.Process.Signal(syscall.SIGINT)
	select {
	case <-d.exited:
	case <-time.After(patience):
		t.Error("it waits on")
	}
	if _, err := stuck(); err == nil {
		t.Error("the request was answered")
	}
}

func TestUpgradeOverHTTP3(t *testing.T) {
	t.Parallel()
	d := startLineage(t, "--http3")
	begun, end := make(chan struct{}, 3), make(chan struct{})
	a := startApp(t, "a", func(mux *http.ServeMux) {
		mux.HandleFunc("/long", func(w http.ResponseWriter, r *http.Request) {
			begun <- struct{}{}
			select {
			case <-end:
			case <-r.Context().Done():
			}
		})
	})
	certPath, keyPath, pool := certificate(t, t.TempDir(), "a.example")
	d.must("deploy", "web", "--target", a.target(), "--host", "a.example", "--tls", "--tls-certificate-path", certPath, "--tls-private-key-path", keyPath)
	client := overQUIC(t, d, pool)
	running := startLoadOf(4, paced(func(*http.Client) (string, error) { return fetch(client, "https://a.example/") }))
	answers := make(chan error, 3)
	for range 3 {
		running.awaitMore(t, 50)
		slow := overQUIC(t, d, pool)
		go func() {
			_, err := fetch(slow, "https://a.example/long")
			answers <- err
		}()
		<-begun
		d.upgrade()
	}
	running.awaitMore(t, 50)
	if !alive(d.lineage()[0]) {
		t.Error("the first process has ended before its request has")
	}
	close(end)
	for range 3 {
		if err := <-answers; err != nil {
			t.Errorf("a request across upgrades: %v", err)
		}
	}
	running.stop(t)
	for _, pid := range d.lineage()[:3] {
		awaitEnd(t, pid)
	}
}
