package integration

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"
)

func TestForwardedFields(t *testing.T) {
	d := startDaemon(t)
	raw := startRaw(t, nil)
	incoming := []string{
		"X-Forwarded-For: 203.0.113.1", "X-Forwarded-For: 203.0.113.2", "X-Forwarded-Host: outer.example", "X-Forwarded-Proto: https",
		"Forwarded: for=203.0.113.1", "X-Kamal-Target: outer:80", "Client-IP: 203.0.113.9",
	}
	for _, c := range []struct {
		name   string
		flags  []string
		fields []string
		want   map[string][]string
	}{
		{"by default, fresh", nil, nil, map[string][]string{
			"X-Forwarded-For": {"127.0.0.1"}, "X-Forwarded-Host": {"A.example:81"}, "X-Forwarded-Proto": {"http"}, "X-Kamal-Target": {raw.target()},
		}},
		{"by default, as from a proxy", nil, incoming, map[string][]string{
			"X-Forwarded-For":  {"203.0.113.1, 203.0.113.2, 127.0.0.1"},
			"X-Forwarded-Host": {"outer.example"}, "X-Forwarded-Proto": {"https"}, "Forwarded": {"for=203.0.113.1"},
			"X-Kamal-Target": {"outer:80, " + raw.target()},
		}},
		{"without", []string{"--forward-headers=false"}, incoming, map[string][]string{
			"X-Forwarded-For": {"127.0.0.1"}, "X-Forwarded-Host": {"A.example:81"}, "X-Forwarded-Proto": {"http"}, "Forwarded": nil,
			"X-Kamal-Target": {raw.target()},
		}},
		{"with the client's address", []string{"--client-ip-header", "Client-IP"}, incoming, map[string][]string{
			"X-Forwarded-For": {"203.0.113.9, 127.0.0.1"}, "Client-IP": {"203.0.113.9"},
		}},
		{"with the client's address, which is missing", []string{"--client-ip-header", "Nobody"}, incoming, map[string][]string{
			"X-Forwarded-For": {"203.0.113.1, 203.0.113.2, 127.0.0.1"},
		}},
		{"with the client's address, without the rest", []string{"--client-ip-header", "Client-IP", "--forward-headers=false"}, incoming, map[string][]string{
			"X-Forwarded-For": {"127.0.0.1"},
		}},
	} {
		d.must(append([]string{"deploy", "web", "--target", raw.target()}, c.flags...)...)
		ask(t, d, "GET /", "A.example:81", c.fields...)
		head := raw.one(t)
		if host := field(head, "Host"); fmt.Sprint(host) != "[A.example:81]" {
			t.Errorf("%s: Host is %q, want it as it came", c.name, host)
		}
		for name, want := range c.want {
			if got := field(head, name); fmt.Sprintf("%q", got) != fmt.Sprintf("%q", want) {
				t.Errorf("%s: %s is %q, want %q", c.name, name, got, want)
			}
		}
	}
}

func TestRequestIDAndStart(t *testing.T) {
	d := startDaemon(t)
	raw := startRaw(t, nil)
	d.must("deploy", "web", "--target", raw.target())
	before := time.Now().UnixMilli()
	ask(t, d, "GET /", "a.example", "Connection: X-Request-ID, X-Request-Start, X-Forwarded-For, X-Forwarded-Host, X-Kamal-Target")
	head := raw.one(t)
	id := strings.Join(field(head, "X-Request-ID"), "|")
	if !regexp.MustCompile(`^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$`).MatchString(id) {
		t.Errorf("X-Request-ID is %q, want a UUIDv4", id)
	}
	start, found := strings.CutPrefix(strings.Join(field(head, "X-Request-Start"), "|"), "t=")
	if ms, err := strconv.ParseInt(start, 10, 64); !found || err != nil || ms < before || ms > time.Now().UnixMilli() {
		t.Errorf("X-Request-Start is %q, want t= and the unix milliseconds", start)
	}
	for _, name := range []string{"X-Forwarded-For", "X-Forwarded-Host", "X-Forwarded-Proto", "X-Kamal-Target"} {
		if len(field(head, name)) != 1 {
			t.Errorf("a client's Connection took %s away: %q", name, head)
		}
	}
	ask(t, d, "GET /", "a.example", "X-Request-ID: mine", "X-Request-Start: t=1")
	head = raw.one(t)
	if id, start := field(head, "X-Request-ID"), field(head, "X-Request-Start"); fmt.Sprint(id, start) != "[mine] [t=1]" {
		t.Errorf("X-Request-ID %q, X-Request-Start %q, want them as they came", id, start)
	}
}

// What is sent is what came, but for what belongs to the connection.
func TestHeadsPassUntouched(t *testing.T) {
	d := startDaemon(t)
	raw := startRaw(t, func(c net.Conn, _ *bufio.Reader) {
		fmt.Fprint(c, "HTTP/1.1 200 Fine\r\nContent-Length: 2\r\nx-lower: 1\r\nX-UPPER: 2\r\nSet-Cookie: a=1\r\nSet-Cookie: b=2; Odd=1\r\n"+
			"Keep-Alive: timeout=5\r\nConnection: X-Mine\r\nX-Mine: 1\r\nProxy-Authenticate: Basic\r\n\r\nok")
	})
	for _, flags := range [][]string{nil, {"--buffer-requests", "--buffer-responses"}} {
		d.must(append([]string{"deploy", "web", "--target", raw.target()}, flags...)...)
		head, body := ask(t, d, "GET /?a;b&&=%zz%2f", "a.example", "x-lower: 1", "X-UPPER: 2", "Accept: a", "Accept: b",
			"Connection: X-Mine", "X-Mine: 1", "Keep-Alive: 1", "Proxy-Connection: x", "TE: trailers, deflate", "Upgrade: h2c", "HTTP2-Settings: AAAA")
		sent := raw.one(t)
		if !strings.HasPrefix(sent, "GET /?a;b&&=%zz%2f HTTP/1.1\r\n") {
			t.Errorf("%v: the request line came as %.40q", flags, sent)
		}
		for _, line := range []string{"x-lower: 1\r\n", "X-UPPER: 2\r\n", "Accept: a\r\nAccept: b\r\n"} {
			if !strings.Contains(sent, line) {
				t.Errorf("%v: %q is not in %q", flags, line, sent)
			}
		}
		for _, name := range []string{"X-Mine", "Keep-Alive", "Proxy-Connection", "Upgrade", "HTTP2-Settings", "Accept-Encoding", "User-Agent", "Transfer-Encoding"} {
			if got := field(sent, name); got != nil {
				t.Errorf("%v: the target was sent %s: %q", flags, name, got)
			}
		}
		for _, line := range []string{"x-lower: 1\r\n", "X-UPPER: 2\r\n", "Set-Cookie: a=1\r\nSet-Cookie: b=2; Odd=1\r\n", "Content-Length: 2\r\n"} {
			if !strings.Contains(head, line) {
				t.Errorf("%v: %q is not in %q", flags, line, head)
			}
		}
		for _, name := range []string{"X-Mine", "Keep-Alive", "Proxy-Authenticate", "Content-Type"} {
			if got := field(head, name); got != nil {
				t.Errorf("%v: the client was sent %s: %q", flags, name, got)
			}
		}
		if body != "ok" {
			t.Errorf("%v: body %q", flags, body)
		}
	}
}

func TestLengthsWithoutBodies(t *testing.T) {
	d := startDaemon(t)
	answer := ""
	raw := startRaw(t, func(c net.Conn, _ *bufio.Reader) { io.WriteString(c, answer) })
	for _, flags := range [][]string{nil, {"--buffer-requests", "--buffer-responses"}} {
		d.must(append([]string{"deploy", "web", "--target", raw.target()}, flags...)...)
		for _, c := range []struct {
			method, answer, status string
			length                 []string
		}{
			{"HEAD", "HTTP/1.1 200 OK\r\nContent-Length: 12345\r\n\r\n", "200", []string{"12345"}},
			{"HEAD", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", "200", nil},
			{"GET", "HTTP/1.1 204 No Content\r\n\r\n", "204", nil},
			{"GET", "HTTP/1.1 304 Not Modified\r\nContent-Length: 77\r\nETag: \"x\"\r\n\r\n", "304", []string{"77"}},
			{"GET", "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", "200", []string{"0"}},
		} {
			answer = c.answer
			head, body := ask(t, d, c.method+" /", "a.example")
			if got := field(head, "Content-Length"); status(head) != c.status || body != "" || fmt.Sprint(got) != fmt.Sprint(c.length) {
				t.Errorf("%v: %s of %q: %q %q, want %s, Content-Length %v", flags, c.method, c.answer, head, body, c.status, c.length)
			}
		}
	}
}

func TestExpectContinue(t *testing.T) {
	d := startDaemon(t)
	raw := startRaw(t, func(c net.Conn, r *bufio.Reader) {
		body := make([]byte, 4)
		io.ReadFull(r, body)
		fmt.Fprintf(c, "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\n%s", body)
	})
	for _, flags := range [][]string{nil, {"--buffer-requests", "--buffer-responses"}} {
		d.must(append([]string{"deploy", "web", "--target", raw.target()}, flags...)...)
		c := dial(t, d)
		r := bufio.NewReader(c)
		fmt.Fprint(c, "POST / HTTP/1.1\r\nHost: a.example\r\nContent-Length: 4\r\nExpect: 100-continue\r\n\r\n")
		if head, err := readHead(r); err != nil || status(head) != "100" {
			t.Errorf("%v: %q, %v, want 100 before the body is sent", flags, head, err)
		}
		fmt.Fprint(c, "body")
		if head, err := readHead(r); err != nil || status(head) != "200" {
			t.Errorf("%v: %q, %v, want 200", flags, head, err)
		}
	}
}

func TestCookiePathsAreScoped(t *testing.T) {
	d := startDaemon(t)
	answer := ""
	raw := startRaw(t, func(c net.Conn, _ *bufio.Reader) {
		fmt.Fprintf(c, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\nSet-Cookie: %s\r\n\r\n", answer)
	})
	cookies := map[string][2]string{ // as it came, with the flag, and without
		"a=1":                             {"a=1; Path=/api"},
		"a=1; Path=/":                     {"a=1; Path=/api"},
		"a=1; path=/x; Priority=High; Q":  {"a=1; path=/api/x; Priority=High; Q"},
		"a=1; Path=/x; Partitioned":       {"a=1; Path=/api/x; Partitioned"},
		"a=1; Domain=a.example; Path=/x":  {"a=1; Domain=a.example; Path=/api/x"},
		"a=1; Domain=.A.example; Path=/x": {"a=1; Domain=.A.example; Path=/api/x"},
		"a=1; Domain=example; Path=/x":    {"a=1; Domain=example; Path=/x"},
	}
	for i, flags := range [][]string{{"--scope-cookie-paths"}, {"--scope-cookie-paths", "--strip-path-prefix=false"}, nil} {
		d.must(append([]string{"deploy", "web", "--target", raw.target(), "--path-prefix", "/api"}, flags...)...)
		for given, want := range cookies {
			if i > 0 {
				want[0] = given
			}
			answer = given
			head, _ := ask(t, d, "GET /api/login", "a.example:81")
			if got := field(head, "Set-Cookie"); len(got) != 1 || got[0] != want[0] {
				t.Errorf("%v: Set-Cookie: %s came as %q, want %s", flags, given, got, want[0])
			}
		}
	}
}

func TestEarlyHintsDoNotDecideTheStatus(t *testing.T) {
	d := startDaemon(t)
	final := ""
	raw := startRaw(t, func(c net.Conn, _ *bufio.Reader) {
		fmt.Fprint(c, "HTTP/1.1 103 Early Hints\r\nLink: <x>\r\nX-Early: 1\r\n\r\nHTTP/1.1 "+final+"\r\nContent-Length: 2\r\nX-Final: 1\r\n\r\nno")
	})
	for _, flags := range [][]string{nil, {"--buffer-requests", "--buffer-responses"}, {"--buffer-responses", "--max-response-body", "100"}} {
		d.must(append([]string{"deploy", "web", "--target", raw.target()}, flags...)...)
		for _, final = range []string{"404 Not Found", "500 Internal Server Error"} {
			early, rest, _ := strings.Cut(say(t, d, "GET / HTTP/1.1\r\nHost: a.example\r\nConnection: close\r\n\r\n"), "\r\n\r\n")
			if status(early) != "103" || len(field(early, "Link")) != 1 {
				t.Errorf("%v: first %q, want the 103 with its Link", flags, early)
			}
			head, body, _ := strings.Cut(rest, "\r\n\r\n")
			if status(head) != final[:3] || body != "no" || field(head, "Link") != nil || field(head, "X-Early") != nil || field(head, "X-Final") == nil {
				t.Errorf("%v: then %q %q, want %s without what the 103 said", flags, head, body, final)
			}
		}
	}
}

func TestUpgradesAreScrubbed(t *testing.T) {
	d := startDaemon(t)
	raw := startRaw(t, func(c net.Conn, _ *bufio.Reader) {
		fmt.Fprint(c, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade, X-Mine\r\nUpgrade: chat\r\nX-Mine: 1\r\nX-Kept: 1\r\nKeep-Alive: x\r\n\r\nhi")
		c.Close()
	})
	d.must("deploy", "web", "--target", raw.target())
	answer := say(t, d, "GET / HTTP/1.1\r\nHost: a.example\r\nConnection: Upgrade, X-Gone\r\nUpgrade: chat\r\nX-Gone: 1\r\n\r\n")
	head, body, _ := strings.Cut(answer, "\r\n\r\n")
	if status(head) != "101" || body != "hi" || field(head, "X-Mine") != nil || field(head, "Keep-Alive") != nil || len(field(head, "X-Kept")) != 1 {
		t.Errorf("got %q", answer)
	}
	if sent := raw.one(t); field(sent, "X-Gone") != nil || fmt.Sprint(field(sent, "Upgrade")) != "[chat]" {
		t.Errorf("the target was sent %q", sent)
	}
	for _, other := range []string{"h2c", "HTTP/2.0", "tls/1.0"} {
		raw.take()
		ask(t, d, "GET /", "a.example", "Connection: Upgrade, HTTP2-Settings", "Upgrade: "+other, "HTTP2-Settings: AAAA")
		if sent := raw.one(t); field(sent, "Upgrade") != nil || field(sent, "HTTP2-Settings") != nil {
			t.Errorf("an upgrade to %s reached the target: %q", other, sent)
		}
	}
}

func TestTrailersPassWithBuffering(t *testing.T) {
	d := startDaemon(t)
	raw := startRaw(t, func(c net.Conn, r *bufio.Reader) {
		for line := ""; line != "\r\n"; {
			line, _ = r.ReadString('\n')
			if name, value, _ := strings.Cut(line, ":"); name == "X-Check" {
				defer fmt.Fprintf(c, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: X-Sum\r\n\r\n2\r\nok\r\n0\r\nX-Sum: %s\r\n\r\n", strings.TrimSpace(value))
			}
		}
	})
	for _, flags := range [][]string{nil, {"--buffer-requests", "--buffer-responses"}, {"--buffer-requests", "--buffer-responses", "--max-response-body", "100"}} {
		d.must(append([]string{"deploy", "web", "--target", raw.target()}, flags...)...)
		answer := say(t, d, "POST / HTTP/1.1\r\nHost: a.example\r\nConnection: close\r\nTE: trailers\r\nTrailer: X-Check\r\nTransfer-Encoding: chunked\r\n\r\n"+
			"4\r\nbody\r\n0\r\nX-Check: 42\r\n\r\n")
		if status(answer) != "200" || !strings.HasSuffix(answer, "X-Sum: 42\r\n\r\n") {
			t.Errorf("%v: %q, want the trailer X-Sum: 42", flags, answer)
		}
	}
}

// A request whose target changes the status page's fields, too.
func TestNothingOfTheTargetIsOnAnErrorPage(t *testing.T) {
	d := startDaemon(t)
	raw := startRaw(t, func(c net.Conn, _ *bufio.Reader) {
		fmt.Fprint(c, "HTTP/1.1 200 OK\r\nX-Secret: 1\r\nContent-Length: bad\r\n\r\n")
		c.Close()
	})
	d.must("deploy", "web", "--target", raw.target())
	for _, method := range []string{"GET", "HEAD"} {
		head, body := ask(t, d, method+" /", "a.example")
		if status(head) != "502" || field(head, "X-Secret") != nil || fmt.Sprint(field(head, "Content-Type")) != "[text/html; charset=utf-8]" {
			t.Errorf("%s: %q", method, head)
		}
		if page := strings.Contains(body, "502 Bad Gateway") && strings.Contains(body, "<html"); page != (method == http.MethodGet) || !page && body != "" {
			t.Errorf("%s: the page is %q", method, body)
		}
	}
}
