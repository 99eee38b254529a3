package integration

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"strconv"
	"strings"
	"sync"
	"testing"
)

// witness is a target that keeps the requests that it was sent, reads them by
// the letter, and says in each answer whose it is.
type witness struct {
	net.Listener

	mu     sync.Mutex
	seen   []seen
	strays []string // what is no request
	bodies int      // that have begun, and were not asked for by begun
}

// seen is one request, as it came.
type seen struct {
	head, body string
	whole      bool
}

// String is "METHOD TARGET [BODY]", with … for a request that was cut off.
func (s seen) String() string {
	line, _, _ := strings.Cut(s.head, " HTTP/1.1\r\n")
	if s.body != "" && s.whole {
		line += " [" + s.body + "]"
	}
	if !s.whole {
		line += " …"
	}
	return line
}

func startWitness(t *testing.T) *witness {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	w := &witness{Listener: l}
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go w.serve(c)
		}
	}()
	return w
}

func (w *witness) target() string { return w.Addr().String() }

func (w *witness) serve(c net.Conn) {
	defer c.Close()
	r := bufio.NewReader(c)
	for {
		head, err := readHead(r)
		if err != nil {
			if head != "" {
				w.stray(head)
			}
			return
		}
		if length := strings.Join(field(head, "Content-Length"), ""); length != "0" && length+strings.Join(field(head, "Transfer-Encoding"), "") != "" {
			r.Peek(1)
			w.begin()
		}
		body, err := readExactly(head, r)
		if !strings.Contains(head, "\r\nUser-Agent: kamal-proxy\r\n") {
			w.keep(seen{head, body, err == nil})
		}
		if err != nil {
			return
		}
		method, _, _ := strings.Cut(head, " ")
		target, _, _ := strings.Cut(head, " HTTP/1.1\r\n")
		text := strings.Join(field(head, "Host"), ",") + " " + target
		fmt.Fprintf(c, "HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n", len(text))
		if method != "HEAD" {
			io.WriteString(c, text)
		}
	}
}

func (w *witness) begin() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.bodies++
}

// begun reports that one more body has begun to arrive.
func (w *witness) begun() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.bodies == 0 {
		return fmt.Errorf("none has")
	}
	w.bodies--
	return nil
}

func (w *witness) keep(s seen) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.seen = append(w.seen, s)
}

func (w *witness) stray(bytes string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.strays = append(w.strays, bytes)
}

// of returns the requests with a name in their head.
func (w *witness) of(name string) []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	var found []string
	for _, s := range w.seen {
		if strings.Contains(s.head, name) {
			found = append(found, s.String())
		}
	}
	return found
}

// check looks whether all that came was HTTP that can be read in one way.
func (w *witness) check(t *testing.T) {
	t.Helper()
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, bytes := range w.strays {
		t.Errorf("the target was sent %q, which is no request", bytes)
	}
	for _, s := range w.seen {
		if flaw := flawOf(s.head); flaw != "" {
			t.Errorf("the target was sent a head with %s: %q", flaw, s.head)
		}
	}
}

// flawOf says what is wrong with a head that a proxy sends.
func flawOf(head string) string {
	lines := strings.Split(strings.TrimSuffix(head, "\r\n"), "\r\n")
	if parts := strings.Split(lines[0], " "); len(parts) != 3 || parts[2] != "HTTP/1.1" {
		return "a bad request line"
	}
	for _, line := range lines[1:] {
		name, value, found := strings.Cut(line, ":")
		if !found || name == "" || strings.ContainsAny(name, " \t\r\n\x00\"(),/:;<=>?@[\\]{}") || strings.ContainsAny(value, "\r\n\x00\v\f\x7f") {
			return fmt.Sprintf("a bad line %q", line)
		}
		for _, ours := range []string{"Content-Length", "Transfer-Encoding", "Host", "X-Forwarded-For"} {
			if strings.EqualFold(strings.ReplaceAll(name, "_", "-"), ours) && strings.Contains(name, "_") {
				return name + ", which some take for " + ours
			}
		}
	}
	coding, lengths := field(head, "Transfer-Encoding"), field(head, "Content-Length")
	switch {
	case len(field(head, "Host")) != 1:
		return "not one Host"
	case len(coding)+len(lengths) > 1:
		return "two framings"
	case len(coding) == 1 && coding[0] != "chunked":
		return "an odd coding"
	}
	return ""
}

// readExactly reads the body that a head announces.
func readExactly(head string, r *bufio.Reader) (string, error) {
	if lengths := field(head, "Content-Length"); len(lengths) > 0 {
		n, err := strconv.Atoi(lengths[0])
		if err != nil {
			return "", err
		}
		body := make([]byte, n)
		_, err = io.ReadFull(r, body)
		return string(body), err
	}
	if len(field(head, "Transfer-Encoding")) == 0 {
		return "", nil
	}
	var body strings.Builder
	for {
		line, err := r.ReadString('\n')
		if err != nil {
			return body.String(), err
		}
		size, err := strconv.ParseInt(strings.TrimSuffix(line, "\r\n"), 16, 64)
		if err != nil {
			return body.String(), err
		}
		if size == 0 {
			trailer, err := readHead(r)
			if trailer != "" {
				fmt.Fprintf(&body, "+%s", strings.TrimSuffix(trailer, "\r\n"))
			}
			return body.String(), err
		}
		if _, err := io.CopyN(&body, r, size); err != nil {
			return body.String(), err
		}
		if end, err := r.ReadString('\n'); err != nil || end != "\r\n" {
			return body.String(), fmt.Errorf("a chunk ends in %q, %w", end, err)
		}
	}
}
