package integration

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// What a target says when its answer is over waits on a connection that is
// kept: it is no answer to the next request. (What it says at the very moment
// when the next request is sent cannot be told from an answer, by anybody.)
func TestLateBytesOfATargetAreNobodysAnswer(t *testing.T) {
	t.Parallel()
	const poison = "HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nPOISON"
	for name, c := range map[string]struct{ method, answer string }{
		"200":  {"GET", "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"},
		"204":  {"GET", "HTTP/1.1 204 No Content\r\n\r\n"},
		"304":  {"GET", "HTTP/1.1 304 Not Modified\r\nContent-Length: 44\r\n\r\n"},
		"HEAD": {"HEAD", "HTTP/1.1 200 OK\r\nContent-Length: 44\r\n\r\n"},
		"408":  {"GET", "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d := startDaemon(t)
			late, said := make(chan struct{}), make(chan struct{})
			var asked atomic.Int32
			raw := startRaw(t, func(conn net.Conn, r *bufio.Reader) {
				if asked.Add(1) > 1 {
					io.WriteString(conn, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
					return
				}
				io.WriteString(conn, c.answer)
				<-late
				io.WriteString(conn, poison)
				said <- struct{}{}
				<-late // the honest answer comes from another connection
			})
			d.must("deploy", "web", "--target", raw.target())
			ask(t, d, c.method+" /bad", "a.example")
			late <- struct{}{}
			<-said
			close(late)
			if head, body := ask(t, d, "GET /good", "a.example"); status(head) != "200" || body != "ok" {
				t.Errorf("the next client got %q %q", head, body)
			}
		})
	}
}

// A target that does not read the bodies of GETs (CL.0) takes them for requests.
// Its answers to those reach nobody.
func TestABodyThatATargetTakesForARequestAnswersNobody(t *testing.T) {
	t.Parallel()
	for mode, flags := range map[string][]string{"streamed": nil, "buffered": buffered} {
		t.Run(mode, func(t *testing.T) {
			t.Parallel()
			d := startDaemon(t)
			d.must(append([]string{"deploy", "web", "--target", startBodyBlind(t)}, flags...)...)
			for _, method := range []string{"GET", "HEAD", "DELETE", "TRACE"} {
				for range 5 {
					const hidden = "GET /hidden HTTP/1.1\r\nHost: a.example\r\n\r\n"
					attack := fmt.Sprintf("%s / HTTP/1.1\r\nHost: a.example\r\nConnection: close\r\nContent-Length: %d\r\n\r\n%s", method, len(hidden), hidden)
					if n := strings.Count(say(t, d, attack), "HTTP/1."); n != 1 {
						t.Errorf("%s got %d answers", method, n)
					}
					if head, body := ask(t, d, "GET /good", "a.example"); status(head) != "200" || body != "GET /good" {
						t.Errorf("the client behind %s got %q %q", method, head, body)
					}
				}
			}
		})
	}
}

// startBodyBlind starts a target that knows heads alone. It takes its time over
// what is hidden.
func startBodyBlind(t *testing.T) (address string) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer conn.Close()
				for r := bufio.NewReader(conn); ; {
					head, err := readHead(r)
					if err != nil {
						return
					}
					line, _, _ := strings.Cut(head, " HTTP/1.1\r\n")
					if strings.Contains(line, "/hidden") {
						<-time.After(50 * time.Millisecond)
					}
					fmt.Fprintf(conn, "HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n", len(line))
					if !strings.HasPrefix(line, "HEAD ") {
						io.WriteString(conn, line)
					}
				}
			}()
		}
	}()
	return l.Addr().String()
}
