package integration

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"strings"
	"testing"
)

// What can be read in two ways is refused, the connection is closed, and what
// hides in it reaches no target.
func TestAmbiguousRequestsAreRefused(t *testing.T) {
	d := startDaemon(t)
	raw := startRaw(t, func(c net.Conn, r *bufio.Reader) {
		fmt.Fprint(c, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
		c.Close()
	})
	d.must("deploy", "web", "--target", raw.target())
	const hidden = "GET /hidden HTTP/1.1\r\nHost: a.example\r\n\r\n"
	for name, request := range map[string]string{
		"CL and TE":            "POST / HTTP/1.1\r\nHost: a.example\r\nContent-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n" + hidden,
		"TE in HTTP/1.0":       "POST / HTTP/1.0\r\nHost: a.example\r\nTransfer-Encoding: chunked\r\nConnection: keep-alive\r\n\r\n0\r\n\r\n" + hidden,
		"two CLs":              "POST / HTTP/1.1\r\nHost: a.example\r\nContent-Length: 0\r\nContent-Length: 5\r\n\r\n" + hidden,
		"TE of another coding": "POST / HTTP/1.1\r\nHost: a.example\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n" + hidden,
		"TE with a tab":        "POST / HTTP/1.1\r\nHost: a.example\r\nTransfer-Encoding\t: chunked\r\n\r\n0\r\n\r\n" + hidden,
		"a signed CL":          "POST / HTTP/1.1\r\nHost: a.example\r\nContent-Length: +0\r\n\r\n" + hidden,
		"two Hosts":            "GET / HTTP/1.1\r\nHost: a.example\r\nHost: b.example\r\n\r\n" + hidden,
		"no Host":              "GET / HTTP/1.1\r\n\r\n" + hidden,
		"authority form":       "GET a.example:80 HTTP/1.1\r\nHost: a.example\r\n\r\n" + hidden,
		"CONNECT":              "CONNECT 127.0.0.1:22 HTTP/1.1\r\nHost: 127.0.0.1:22\r\n\r\n" + hidden,
		"a blank in the path":  "GET /a b HTTP/1.1\r\nHost: a.example\r\n\r\n" + hidden,
	} {
		raw.take()
		answer := say(t, d, request)
		if code := status(answer); code[0] != '4' && code != "501" {
			t.Errorf("%s: answered %q, want a refusal", name, code)
		}
		if n := strings.Count(answer, "HTTP/1."); n != 1 {
			t.Errorf("%s: %d answers: %q", name, n, answer)
		}
		for _, head := range raw.take() {
			t.Errorf("%s: the target was sent %q", name, head)
		}
	}
}

func TestMalformedChunksAreA400(t *testing.T) {
	d := startDaemon(t)
	raw := startRaw(t, func(c net.Conn, r *bufio.Reader) { io.Copy(io.Discard, r) })
	for _, flags := range [][]string{nil, {"--buffer-requests", "--buffer-responses"}} {
		d.must(append([]string{"deploy", "web", "--target", raw.target()}, flags...)...)
		raw.take()
		answer := say(t, d, "POST / HTTP/1.1\r\nHost: a.example\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nbody\r\nnonsense\r\n")
		if status(answer) != "400" {
			t.Errorf("%v: %.60q, want 400", flags, answer)
		}
		if n := len(raw.take()); flags != nil && n > 0 {
			t.Errorf("%v: the target was asked", flags)
		}
	}
}
