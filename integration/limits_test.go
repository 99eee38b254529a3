package integration

import (
	"bufio"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"os/exec"
	"strconv"
	"strings"
	"testing"
	"time"
)

// startLimited runs a daemon with these flags and an app at every host, over TLS
// for localhost.
func startLimited(t *testing.T, flags ...string) *daemon {
	t.Helper()
	d := startScraped(t, flags...)
	deployLimited(t, d)
	return d
}

func deployLimited(t *testing.T, d *daemon) (a *app) {
	t.Helper()
	a = startApp(t, "a", func(mux *http.ServeMux) {
		mux.HandleFunc("/body", func(w http.ResponseWriter, r *http.Request) {
			n, _ := io.Copy(io.Discard, r.Body)
			fmt.Fprint(w, n)
		})
		mux.HandleFunc("/late", func(w http.ResponseWriter, r *http.Request) {
			time.Sleep(time.Second)
			w.(http.Flusher).Flush()
			time.Sleep(time.Second)
			fmt.Fprint(w, "late")
		})
		mux.HandleFunc("/later", func(w http.ResponseWriter, r *http.Request) {
			time.Sleep(3500 * time.Millisecond)
			w.(http.Flusher).Flush()
			time.Sleep(3500 * time.Millisecond)
			fmt.Fprint(w, "later")
		})
	})
	certPath, keyPath, _ := certificate(t, t.TempDir(), "localhost")
	d.must("deploy", "all", "--target", a.target())
	d.must("deploy", "tls", "--target", a.target(), "--host", "localhost", "--tls",
		"--tls-certificate-path", certPath, "--tls-private-key-path", keyPath)
	return a
}

// kept is a client's connection that is used again and again.
type kept struct {
	net.Conn
	*bufio.Reader
}

func (d *daemon) keep(t *testing.T) *kept {
	t.Helper()
	c, err := net.Dial("tcp", d.address())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	c.SetDeadline(time.Now().Add(patience))
	return &kept{c, bufio.NewReader(c)}
}

func (k *kept) Read(p []byte) (int, error) { return k.Reader.Read(p) }

// ask makes a request and returns the status, or 0 where none comes.
func (k *kept) ask(head string) (status int, body string) {
	io.WriteString(k.Conn, head)
	response, err := http.ReadResponse(k.Reader, nil)
	if err != nil {
		return 0, err.Error()
	}
	text, err := io.ReadAll(response.Body)
	if err != nil {
		return 0, err.Error()
	}
	return response.StatusCode, string(text)
}

// ends waits for the end of the connection.
func (k *kept) ends() error {
	rest, err := io.ReadAll(k)
	if network, ok := err.(net.Error); ok && network.Timeout() || len(rest) > 0 {
		return fmt.Errorf("got %q, %v", rest, err)
	}
	return nil
}

const plainGet = "GET / HTTP/1.1\r\nHost: web\r\n\r\n"

func want(t *testing.T, what string, k *kept, head string, status int) {
	t.Helper()
	if got, body := k.ask(head); got != status {
		t.Errorf("%s: got %d, %q, want %d", what, got, body, status)
	}
}

func TestTimesOfRequests(t *testing.T) {
	t.Parallel()
	d := startLimited(t, "--head-timeout", "3s", "--idle-timeout", "4s", "--body-timeout", "3s")
	t.Run("head", func(t *testing.T) {
		t.Parallel()
		k := d.keep(t)
		io.WriteString(k.Conn, plainGet[:10])
		time.Sleep(200 * time.Millisecond)
		want(t, "a head in two parts", k, plainGet[10:], 200)
		begun := time.Now()
		want(t, "half a head", k, plainGet[:10], 408)
		if took := time.Since(begun); took < 3*time.Second {
			t.Errorf("after %v", took)
		}
	})
	t.Run("handshake", func(t *testing.T) {
		t.Parallel()
		c, err := net.Dial("tcp", fmt.Sprintf("127.0.0.1:%d", d.https))
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		c.SetDeadline(time.Now().Add(patience))
		io.WriteString(c, "\x16\x03\x01")
		if err := (&kept{c, bufio.NewReader(c)}).ends(); err != nil {
			t.Error(err)
		}
	})
	t.Run("idle", func(t *testing.T) {
		t.Parallel()
		k := d.keep(t)
		want(t, "at once", k, plainGet, 200)
		time.Sleep(time.Second)
		want(t, "after a second", k, plainGet, 200)
		begun := time.Now()
		if err := k.ends(); err != nil {
			t.Error(err)
		}
		if took := time.Since(begun); took < 4*time.Second {
			t.Errorf("after %v", took)
		}
	})
	t.Run("body", func(t *testing.T) {
		t.Parallel()
		k := d.keep(t)
		io.WriteString(k.Conn, "POST /body HTTP/1.1\r\nHost: web\r\nContent-Length: 12\r\n\r\n")
		for range 11 { // longer than the limit in all
			time.Sleep(300 * time.Millisecond)
			io.WriteString(k.Conn, "x")
		}
		want(t, "a slow body", k, "x", 200)
		if got, _ := k.ask("POST /body HTTP/1.1\r\nHost: web\r\nContent-Length: 12\r\n\r\nxxx"); got != 408 && got != 0 {
			t.Errorf("half a body got %d", got)
		}
	})
	t.Run("answer", func(t *testing.T) {
		t.Parallel()
		k := d.keep(t)
		if got, body := k.ask("GET /later HTTP/1.1\r\nHost: web\r\n\r\n"); got != 200 || body != "later" {
			t.Errorf("got %d, %q", got, body)
		}
	})
}

func TestSizesOfHeads(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		flags        []string
		below, above string
	}{
		"bytes by default":  {nil, "X: " + strings.Repeat("x", 60<<10) + "\r\n", "X: " + strings.Repeat("x", 66<<10) + "\r\n"},
		"bytes":             {[]string{"--max-header-bytes", "2000"}, "X: " + strings.Repeat("x", 1400) + "\r\n", "X: " + strings.Repeat("x", 2000) + "\r\n"},
		"fields by default": {nil, strings.Repeat("X: y\r\n", 900), strings.Repeat("X: y\r\n", 1001)},
		"fields":            {[]string{"--max-header-fields", "20"}, strings.Repeat("X: y\r\n", 15), strings.Repeat("X: y\r\n", 25)},
	} {
		t.Run(name, func(t *testing.T) {
			d := startLimited(t, c.flags...)
			head := func(fields string) string { return "GET / HTTP/1.1\r\nHost: web\r\n" + fields + "\r\n" }
			k := d.keep(t)
			want(t, "below", k, head(c.below), 200)
			want(t, "above", k, head(c.above), 431)
			client := secureClient(t)
			for fields, status := range map[string]int{c.below: 200, c.above: 431} {
				r, _ := http.NewRequest("GET", fmt.Sprintf("https://localhost:%d/", d.https), nil)
				for line := range strings.Lines(fields) {
					key, value, _ := strings.Cut(strings.TrimSpace(line), ": ")
					r.Header[key] = append(r.Header[key], value)
				}
				response, err := client.Do(r)
				if err != nil && status == 431 && strings.Contains(err.Error(), "advertised limit") {
					continue // it was told (RFC 9113, section 6.5.2), and does not try
				}
				if err != nil || response.StatusCode != status || response.ProtoMajor != 2 {
					t.Errorf("over h2: got %v, %v, want %d", response, err, status)
				}
			}
		})
	}
}

// secureClient speaks HTTP/2.
func secureClient(t *testing.T) *http.Client {
	transport := &http.Transport{ForceAttemptHTTP2: true, TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}
	t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Transport: transport, Timeout: patience}
}

func TestTheLongestIdleMakeRoom(t *testing.T) {
	t.Parallel()
	d := startScraped(t, "--max-connections", "4")
	a := deployLimited(t, d)
	var idle []*kept
	for range 4 {
		k := d.keep(t)
		want(t, "one of the first", k, plainGet, 200)
		idle = append(idle, k)
	}
	time.Sleep(200 * time.Millisecond) // whoever has answered gets to rest a little later
	for _, i := range []int{0, 3, 2} { // now the second is the longest idle
		want(t, "one of them, again", idle[i], plainGet, 200)
	}
	want(t, "one more", d.keep(t), plainGet, 200)
	if err := idle[1].ends(); err != nil {
		t.Errorf("the longest idle: %v", err)
	}
	for _, i := range []int{0, 2, 3} {
		want(t, "one that was not idle for so long", idle[i], plainGet, 200)
	}
	served := a.served.Load()
	busy := []*kept{idle[0], idle[2], idle[3], d.keep(t)}
	for i, k := range busy {
		io.WriteString(k.Conn, "GET /held HTTP/1.1\r\nHost: web\r\n\r\n")
		awaitServed(t, a, served+int64(i+1))
	}
	late := d.keep(t)
	io.WriteString(late.Conn, plainGet)
	if !pending(late.Conn) {
		t.Error("one more than there may be is let in")
	}
	a.release()
	want(t, "one that had to wait", late, "", 200)
	for _, k := range busy {
		if status, body := k.ask(""); status != 200 || body != "a" {
			t.Errorf("a busy one got %d, %q", status, body)
		}
	}
}

// Clients that begin something and do not go on keep nobody out.
func TestHesitatingClientsMakeRoom(t *testing.T) {
	t.Parallel()
	d := startLimited(t, "--max-connections", "10")
	for range 10 {
		io.WriteString(d.keep(t).Conn, plainGet[:10])
	}
	begun := time.Now()
	want(t, "an honest one", d.keep(t), plainGet, 200)
	if took := awake(begun); took > 6*time.Second { // --head-timeout is 10 s
		t.Errorf("after %v", took)
	}
}

// speak says something on the HTTPS port and hangs up.
func (d *daemon) speak(text string) error {
	c, err := net.Dial("tcp", fmt.Sprintf("127.0.0.1:%d", d.https))
	if err != nil {
		return err
	}
	defer c.Close()
	_, err = io.WriteString(c, text)
	return err
}

func (d *daemon) metricOf(name string) int {
	d.t.Helper()
	text, err := fetch(http.DefaultClient, "http://127.0.0.1:"+strconv.Itoa(d.metric)+"/metrics")
	if err != nil {
		d.t.Fatal(err)
	}
	return number(text, `(?m)^`+name+` (\d+)$`)
}

// Where the process may open no more files, those who are idle make room for
// clients, and for connections to targets.
func TestFewDescriptors(t *testing.T) {
	t.Parallel()
	for name, flags := range map[string][]string{"by default": nil, "more than there can be": {"--max-connections", "5000"}} {
		t.Run(name, func(t *testing.T) {
			d := newDaemon(t, append(flags, "--metrics-port", strings.Split(closedPort(t), ":")[1])...)
			d.activate = func(c *exec.Cmd) {
				c.Args = append([]string{"sh", "-c", `ulimit -n 64; exec "$0" "$@"`}, append([]string{program}, c.Args[1:]...)...)
				c.Path, c.Err = "/bin/sh", nil
			}
			d.start()
			deployLimited(t, d)
			var idle []*kept
			for range 150 {
				k := d.keep(t)
				want(t, "one of many", k, plainGet, 200)
				idle = append(idle, k)
			}
			for range 20 {
				want(t, "an honest one", d.keep(t), "POST /body HTTP/1.1\r\nHost: web\r\nContent-Length: 2\r\n\r\nxx", 200)
			}
			if err := idle[0].ends(); err != nil {
				t.Errorf("the longest idle: %v", err)
			}
			var busy []*kept // each needs a connection to its target
			for range 16 {
				k := d.keep(t)
				io.WriteString(k.Conn, "GET /late HTTP/1.1\r\nHost: web\r\n\r\n")
				busy = append(busy, k)
			}
			for _, k := range busy {
				want(t, "one of many at once", k, "", 200)
			}
			if n := d.metricOf("kamal_proxy_connections_dismissed_total"); n < 100 {
				t.Errorf("%d made room", n)
			}
			if said := strings.Contains(d.log.String(), "--max-connections is more"); said != (name != "by default") {
				t.Errorf("it warns at the start: %t", said)
			}
		})
	}
}
