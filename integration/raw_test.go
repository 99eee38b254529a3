package integration

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"
)

// rawTarget is a target that is spoken byte by byte: it keeps the heads of
// requests as they came, but for those of health checks.
type rawTarget struct {
	net.Listener
	answer func(c net.Conn, r *bufio.Reader)

	mu    sync.Mutex
	heads []string
	open  int // connections
}

// startRaw starts a target that answers each request, whose body is still
// unread, by answer; nil is a short 200.
func startRaw(t *testing.T, answer func(c net.Conn, r *bufio.Reader)) *rawTarget {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	target := &rawTarget{Listener: l, answer: answer}
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go target.serve(c)
		}
	}()
	return target
}

func (t *rawTarget) target() string { return t.Addr().String() }

func (t *rawTarget) serve(c net.Conn) {
	t.count(1)
	defer t.count(-1)
	defer c.Close()
	r := bufio.NewReader(c)
	for {
		head, err := readHead(r)
		switch {
		case err != nil:
			return
		case strings.Contains(head, "\r\nUser-Agent: kamal-proxy\r\n"):
			fmt.Fprint(c, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
			continue
		}
		t.mu.Lock()
		t.heads = append(t.heads, head)
		t.mu.Unlock()
		if t.answer == nil {
			fmt.Fprint(c, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
			continue
		}
		t.answer(c, r)
	}
}

func (t *rawTarget) count(n int) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.open += n
}

// connections is how many are open.
func (t *rawTarget) connections() int {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.open
}

// take returns the heads since the last call.
func (t *rawTarget) take() []string {
	t.mu.Lock()
	defer t.mu.Unlock()
	heads := t.heads
	t.heads = nil
	return heads
}

// readHead reads up to the empty line, which it leaves out.
func readHead(r *bufio.Reader) (string, error) {
	var head strings.Builder
	for {
		line, err := r.ReadString('\n')
		if err != nil {
			return head.String(), err
		}
		if line == "\r\n" {
			return head.String(), nil
		}
		head.WriteString(line)
	}
}

// lines of a head that begin with a field's name in whatever case.
func field(head, name string) []string {
	var values []string
	for line := range strings.SplitSeq(head, "\r\n") {
		if key, value, found := strings.Cut(line, ":"); found && strings.EqualFold(key, name) {
			values = append(values, strings.TrimSpace(value))
		}
	}
	return values
}

// say sends bytes as they are, and returns all that comes back until the
// daemon hangs up.
func say(t *testing.T, d *daemon, bytes string) string {
	t.Helper()
	c := dial(t, d)
	if _, err := io.WriteString(c, bytes); err != nil {
		t.Fatal(err)
	}
	said, err := io.ReadAll(c)
	if err != nil && len(said) == 0 {
		t.Errorf("%.60q: %v", bytes, err)
	}
	return string(said)
}

// ask sends a request without a body on a connection of its own, and returns
// the head and the body of the response.
func ask(t *testing.T, d *daemon, line, host string, fields ...string) (head, body string) {
	t.Helper()
	request := line + " HTTP/1.1\r\nHost: " + host + "\r\nConnection: close\r\n"
	for _, f := range fields {
		request += f + "\r\n"
	}
	head, body, _ = strings.Cut(say(t, d, request+"\r\n"), "\r\n\r\n")
	return head + "\r\n", body
}

// status is that of a head.
func status(head string) string {
	if parts := strings.SplitN(head, " ", 3); len(parts) > 2 {
		return parts[1]
	}
	return fmt.Sprintf("no status line in %q", head)
}

// one returns the only head that a target has seen since the last look.
func (t *rawTarget) one(tb *testing.T) string {
	tb.Helper()
	heads := t.take()
	if len(heads) != 1 {
		tb.Fatalf("the target saw %d requests: %q, want one", len(heads), heads)
	}
	return heads[0]
}

// do sends a request with a client of its own that follows no redirect and
// keeps no connection.
func do(t *testing.T, request *http.Request) (*http.Response, string) {
	t.Helper()
	client := &http.Client{
		Timeout:       patience,
		Transport:     &http.Transport{DisableKeepAlives: true, DisableCompression: true},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	response, err := client.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return response, string(body)
}

// request makes one for a host of the daemon.
func (d *daemon) request(method, host, path string, body io.Reader) *http.Request {
	d.t.Helper()
	r, err := http.NewRequest(method, d.url(path), body)
	if err != nil {
		d.t.Fatal(err)
	}
	r.Host = host
	return r
}

// pending reports whether nothing comes back for a moment.
func pending(c net.Conn) bool {
	c.SetReadDeadline(time.Now().Add(100 * time.Millisecond))
	defer c.SetReadDeadline(time.Now().Add(patience))
	_, err := c.Read(make([]byte, 1))
	netErr, ok := err.(net.Error)
	return ok && netErr.Timeout()
}
