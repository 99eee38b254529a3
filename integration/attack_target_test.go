package integration

import (
	"bufio"
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptrace"
	"net/textproto"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// betrayal is what a hostile target answers, and what has to become of that.
type betrayal struct {
	name    string
	section string // of RFC 9112, or 9110 where it says so
	answer  string // the bytes; after the {wait}s in it comes a pause
	after   fate
	method  string // of the request; GET
	body    int    // bytes of the request's body, which the target reads only if readsBody
	// outcome is the status that the client gets, "cut" where the answer may not
	// look whole to it, or several of these where that is left open.
	outcome   string
	readsBody bool
	reused    bool // the connection may be used again
}

// fate is what a hostile target does with the connection after its answer.
type fate int

const (
	stays  fate = iota // and waits for the next request
	hangs              // and neither says nor reads anything more
	ends               // closes it in good order
	breaks             // resets it
)

func betrayals() []betrayal {
	return slices.Concat(statusBetrayals(), headBetrayals(), bodyBetrayals(), phaseBetrayals())
}

// TestAttacksByTargets has a target answer in each way of the tables, to clients
// of all versions of HTTP, streamed and buffered, while honest clients use the
// same pool of connections.
func TestAttacksByTargets(t *testing.T) {
	t.Parallel()
	rows := betrayals()
	if len(rows) < 100 {
		t.Errorf("there are %d rows", len(rows))
	}
	t.Logf("%d rows", len(rows))
	for mode, flags := range map[string][]string{"streamed": nil, "buffered": buffered} {
		t.Run(mode, func(t *testing.T) {
			t.Parallel()
			target := startTraitor(t, rows)
			d := startDaemon(t)
			certPath, keyPath, pool := certificate(t, t.TempDir(), "localhost")
			d.must(append([]string{"deploy", "web", "--target", target.Addr().String(), "--host", "localhost,*.example", "--target-timeout", "8s",
				"--tls", "--tls-redirect=false", "--tls-certificate-path", certPath, "--tls-private-key-path", keyPath}, flags...)...)
			secure := h2Client(pool)
			defer secure.CloseIdleConnections()
			stop := honestClients(t, d)
			crowd(64, 3*len(rows), func(i int) {
				b := rows[i/3]
				var got string
				switch protocol := i % 3; protocol {
				case 0, 1:
					got = b.askByHTTP1(d, i/3, protocol)
				case 2:
					got = b.askByHTTP2(d, secure, i/3)
				}
				if !slices.Contains(strings.Fields(b.outcome), got) && !(mode == "buffered" && got == "502" && strings.Contains(b.outcome, "cut")) {
					t.Errorf("%s, %s, by %s: got %s, want %s", b.section, b.name, []string{"HTTP/1.0", "HTTP/1.1", "HTTP/2"}[i%3], got, b.outcome)
				}
			})
			stop()
			for _, i := range target.usedAgain() {
				if !rows[i].reused {
					t.Errorf("%s, %s: the connection was used again", rows[i].section, rows[i].name)
				}
			}
		})
	}
}

func (b betrayal) verb() string {
	if b.method == "" {
		return "GET"
	}
	return b.method
}

// askByHTTP1 returns the outcome for a client of HTTP/1.minor.
func (b betrayal) askByHTTP1(d *daemon, row, minor int) string {
	conn, err := net.Dial("tcp", d.address())
	if err != nil {
		return err.Error()
	}
	defer conn.Close()
	conn.SetDeadline(time.Now().Add(patience))
	go fmt.Fprintf(conn, "%s /row%d HTTP/1.%d\r\nHost: localhost\r\nContent-Length: %d\r\n\r\n%s", b.verb(), row, minor, b.body, strings.Repeat("x", b.body))
	r := bufio.NewReader(conn)
	for {
		response, err := http.ReadResponse(r, &http.Request{Method: b.verb()})
		if err != nil {
			return "cut"
		}
		body, err := io.ReadAll(response.Body)
		if response.StatusCode >= 200 {
			return outcomeOf(response.StatusCode, body, err)
		}
	}
}

func (b betrayal) askByHTTP2(d *daemon, client *http.Client, row int) string {
	ctx := httptrace.WithClientTrace(context.Background(), &httptrace.ClientTrace{
		Got1xxResponse: func(int, textproto.MIMEHeader) error { return nil },
	})
	request, err := http.NewRequestWithContext(ctx, b.verb(), fmt.Sprintf("https://localhost:%d/row%d", d.https, row), strings.NewReader(strings.Repeat("x", b.body)))
	if err != nil {
		return err.Error()
	}
	response, err := client.Do(request)
	if err != nil {
		if strings.Contains(err.Error(), "stream error") {
			return "cut"
		}
		return err.Error()
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	return outcomeOf(response.StatusCode, body, err)
}

func outcomeOf(status int, body []byte, err error) string {
	switch {
	case strings.Contains(string(body), "POISON"):
		return fmt.Sprintf("poison: %.80q", body)
	case err != nil && status < 500:
		return "cut"
	case err != nil:
		return fmt.Sprintf("%d, %v", status, err)
	}
	return fmt.Sprint(status)
}

func h2Client(pool *x509.CertPool) *http.Client {
	return &http.Client{Timeout: patience, Transport: &http.Transport{
		ForceAttemptHTTP2: true, TLSClientConfig: &tls.Config{RootCAs: pool}, DisableCompression: true,
		MaxResponseHeaderBytes: 4 << 20,
	}}
}

// traitor is a target that answers honest clients honestly, and /rowN with that
// row of the table.
type traitor struct {
	net.Listener
	rows []betrayal
	over chan struct{} // closed with the test

	mu    sync.Mutex
	again []int // rows behind whose answer came another request
}

func startTraitor(t *testing.T, rows []betrayal) *traitor {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	target := &traitor{Listener: l, rows: rows, over: make(chan struct{})}
	t.Cleanup(func() { l.Close(); close(target.over) })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go target.serve(c.(*net.TCPConn))
		}
	}()
	return target
}

func (t *traitor) usedAgain() []int {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.again
}

func (t *traitor) serve(c *net.TCPConn) {
	defer c.Close()
	c.SetReadBuffer(16 << 10) // so that what is not read is not received either
	r := bufio.NewReader(c)
	for last := -1; ; {
		head, err := readHead(r)
		if err != nil {
			return
		}
		if last >= 0 {
			t.mu.Lock()
			t.again = append(t.again, last)
			t.mu.Unlock()
		}
		last = -1
		line, _, _ := strings.Cut(head, " HTTP/1.1\r\n")
		if _, err := fmt.Sscanf(line[strings.IndexByte(line, '/')+1:], "row%d", &last); err == nil {
			if !t.betray(c, r, head, t.rows[last]) {
				return
			}
			continue
		}
		if _, err := readExactly(head, r); err != nil {
			return
		}
		text := strings.Join(field(head, "Host"), ",") + " " + line
		fmt.Fprintf(c, "HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s", len(text), text)
	}
}

// betray answers, and reports whether the next request is waited for.
func (t *traitor) betray(c *net.TCPConn, r *bufio.Reader, head string, b betrayal) bool {
	if b.readsBody {
		readExactly(head, r)
	}
	for i, part := range strings.Split(b.answer, "{wait}") {
		if i > 0 {
			<-time.After(50 * time.Millisecond)
		}
		if _, err := io.WriteString(c, part); err != nil {
			return false
		}
	}
	switch b.after {
	case hangs:
		<-t.over
		return false
	case ends:
		c.CloseWrite()
		io.Copy(io.Discard, r)
		return false
	case breaks:
		c.SetLinger(0)
		return false
	}
	return true
}
