package integration

import (
	"bufio"
	"io"
	"net"
	"strings"
	"testing"
)

// TestABrokenAnswerIsSeenAsFarAsItCame: a connection that ends without a word
// has clients send their request once more, a POST, too.
func TestABrokenAnswerIsSeenAsFarAsItCame(t *testing.T) {
	const length, chunks = "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
	d := startDaemon(t)
	for name, c := range map[string]struct{ answer, body string }{
		"a part of a body":     {length + "hello", "hello"},
		"a head":               {length, ""},
		"a chunk":              {chunks + "5\r\nhello\r\n", "5\r\nhello\r\n"},
		"a chunk and nonsense": {chunks + "5\r\nhello\r\nx\r\n", "5\r\nhello\r\n"},
	} {
		t.Run(name, func(t *testing.T) {
			target := startRaw(t, func(conn net.Conn, r *bufio.Reader) {
				io.CopyN(io.Discard, r, 2)
				io.WriteString(conn, c.answer)
				conn.Close()
			})
			d.must("deploy", "web", "--target", target.target())
			for range 20 { // what came may have been passed on already
				said := say(t, d, "POST / HTTP/1.1\r\nHost: a.example\r\nContent-Length: 2\r\n\r\nhi")
				head, body, _ := strings.Cut(said, "\r\n\r\n")
				if status(head) != "200" || body != c.body {
					t.Fatalf("got %q, want a head with 200 and %q", said, c.body)
				}
			}
		})
	}
}
