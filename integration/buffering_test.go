package integration

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"
)

// buffered is what Kamal gives to everybody.
var buffered = []string{"--buffer-requests", "--buffer-responses"}

func deployBuffered(d *daemon, target string, more ...string) {
	d.t.Helper()
	d.must(append(append([]string{"deploy", "web", "--target", target}, buffered...), more...)...)
}

// noise is n bytes that no two places share.
func noise(n int) []byte {
	b := make([]byte, n)
	source := rand.NewChaCha8([32]byte{1})
	source.Read(b)
	return b
}

// echoing is an app that sends back the body it got, with its length.
func echoing(mux *http.ServeMux) {
	mux.HandleFunc("/echo", func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			return
		}
		w.Header().Set("X-Length", fmt.Sprint(r.ContentLength))
		w.Header().Set("Content-Length", strconv.Itoa(len(body)))
		w.Write(body)
	})
}

func TestRequestIsWholeBeforeTheTargetIsAsked(t *testing.T) {
	d := startDaemon(t)
	raw := startRaw(t, func(c net.Conn, r *bufio.Reader) {
		fmt.Fprint(c, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok")
		c.Close()
	})
	deployBuffered(d, raw.target())
	for name, parts := range map[string][2]string{
		"with a length": {"Content-Length: 8\r\n\r\nbody", "body"},
		"in chunks":     {"Transfer-Encoding: chunked\r\n\r\n4\r\nbody\r\n", "4\r\nbody\r\n0\r\n\r\n"},
	} {
		c := dial(t, d)
		fmt.Fprintf(c, "POST / HTTP/1.1\r\nHost: a.example\r\nConnection: close\r\n%s", parts[0])
		if !pending(c) {
			t.Errorf("%s: an answer came before the request's end", name)
		}
		if seen := raw.take(); len(seen) > 0 {
			t.Errorf("%s: the target was asked before the request's end: %q", name, seen)
		}
		fmt.Fprint(c, parts[1])
		if answer, err := io.ReadAll(c); err != nil || status(string(answer)) != "200" {
			t.Errorf("%s: %q, %v, want 200", name, answer, err)
		}
		raw.one(t)
	}

	c := dial(t, d)
	fmt.Fprint(c, "POST / HTTP/1.1\r\nHost: a.example\r\nContent-Length: 8\r\n\r\nbody")
	c.Close() // a client that leaves while it is taken in
	has(t, entry(t, d, "/"), map[string]any{"method": "POST"})
	eventually(t, "the one who left is logged", func() error {
		for _, line := range d.requests() {
			if line["status"] == float64(499) {
				return nil
			}
		}
		return fmt.Errorf("no 499")
	})
	if seen := raw.take(); len(seen) > 0 {
		t.Errorf("the target was asked for a client that left: %q", seen)
	}
}

func TestBodiesOfAnySizeArriveWhole(t *testing.T) {
	dir := t.TempDir()
	d := &daemon{t: t, home: shortTempDir(t), env: []string{"TMPDIR=" + dir}}
	d.start()
	t.Cleanup(d.stop)
	a := startApp(t, "a", echoing)
	for _, memory := range []string{"0", "1000", "1048576"} {
		deployBuffered(d, a.target(), "--buffer-memory", memory)
		for _, size := range []int{0, 1, 999, 1000, 1001, 65536, 3 << 20} {
			want := noise(size)
			for _, chunked := range []bool{false, true} {
				var body io.Reader = bytes.NewReader(want)
				if chunked {
					body = io.MultiReader(body)
				}
				response, got := do(t, d.request("POST", "a.example", "/echo", body))
				if response.StatusCode != 200 || got != string(want) || response.ContentLength != int64(size) {
					t.Errorf("memory %s, %d bytes, chunked %v: %d with %d bytes, Content-Length %d", memory, size, chunked,
						response.StatusCode, len(got), response.ContentLength)
				}
			}
		}
	}
	left(t, dir)
}

// left fails the test if a folder is not empty.
func left(t *testing.T, dir string) {
	t.Helper()
	files, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		t.Errorf("%s is left behind", f.Name())
	}
}

func TestSpillFilesDoNotSurviveAKill(t *testing.T) {
	dir := t.TempDir()
	d := &daemon{t: t, home: shortTempDir(t), env: []string{"TMPDIR=" + dir}}
	d.start()
	t.Cleanup(d.stop)
	a := startApp(t, "a", echoing)
	deployBuffered(d, a.target(), "--buffer-memory", "1000")
	c := dial(t, d)
	fmt.Fprint(c, "POST /echo HTTP/1.1\r\nHost: a.example\r\nContent-Length: 2000000\r\n\r\n")
	c.Write(noise(1_900_000))
	if !pending(c) {
		t.Fatal("the request was answered")
	}
	d.kill()
	d.start()
	left(t, dir)
}

func TestRequestLimit(t *testing.T) {
	d := startDaemon(t)
	a := startApp(t, "a", echoing)
	post := func(size int, chunked bool) (int, string) {
		t.Helper()
		var body io.Reader = bytes.NewReader(noise(size))
		if chunked {
			body = io.MultiReader(body)
		}
		response, got := do(t, d.request("POST", "a.example", "/echo", body))
		return response.StatusCode, got
	}
	for _, memory := range []string{"10", "1048576"} {
		deployBuffered(d, a.target(), "--max-request-body", "1000", "--buffer-memory", memory)
		served := a.served.Load()
		for _, chunked := range []bool{false, true} {
			if code, body := post(1000, chunked); code != 200 || len(body) != 1000 {
				t.Errorf("memory %s, chunked %v: at the limit %d", memory, chunked, code)
			}
			if code, body := post(1001, chunked); code != 413 || !strings.Contains(body, "413") || !strings.Contains(body, "<html") {
				t.Errorf("memory %s, chunked %v: beyond the limit %d %.80q, want the page 413", memory, chunked, code, body)
			}
		}
		if a.served.Load() != served {
			t.Error("the app was asked")
		}
	}
	c := dial(t, d)
	fmt.Fprint(c, "POST /echo HTTP/1.1\r\nHost: a.example\r\nContent-Length: 5000\r\nExpect: 100-continue\r\n\r\n")
	if head, err := readHead(bufio.NewReader(c)); err != nil || status(head) != "413" {
		t.Errorf("an announced length beyond the limit: %q, %v, want 413 without asking for the body", head, err)
	}

	d.must("deploy", "web", "--target", a.target(), "--buffer-requests=false", "--max-request-body", "10")
	if code, _ := post(1000, false); code != 200 {
		t.Errorf("--buffer-requests=false: %d, want no limit", code)
	}
	deployBuffered(d, a.target(), "--max-request-body", "0", "--max-response-body", "0")
	if code, _ := post(100_000, false); code != 200 {
		t.Errorf("a limit of 0: %d, want none", code)
	}
}

// script answers by a head and parts, each of which waits for a sign.
func script(t *testing.T, sign chan struct{}, head string, parts ...string) *rawTarget {
	return startRaw(t, func(c net.Conn, _ *bufio.Reader) {
		io.WriteString(c, head)
		for _, part := range parts {
			<-sign
			if _, err := io.WriteString(c, part); err != nil {
				break
			}
		}
		c.Close()
	})
}

func TestResponseWithALengthIsWholeBeforeItsFirstByte(t *testing.T) {
	d := startDaemon(t)
	sign := make(chan struct{})
	raw := script(t, sign, "HTTP/1.1 200 OK\r\nContent-Length: 8\r\n\r\nbody", "body")
	deployBuffered(d, raw.target())
	c := dial(t, d)
	fmt.Fprint(c, "GET / HTTP/1.1\r\nHost: a.example\r\nConnection: close\r\n\r\n")
	if !pending(c) {
		t.Error("a part of the response came before its end")
	}
	sign <- struct{}{}
	if answer, err := io.ReadAll(c); err != nil || !strings.HasSuffix(string(answer), "\r\n\r\nbodybody") {
		t.Errorf("%q, %v", answer, err)
	}
}

func TestBrokenResponseThatWasHeldIsA502(t *testing.T) {
	d := startDaemon(t)
	sign := make(chan struct{}, 1)
	raw := script(t, sign, "HTTP/1.1 200 OK\r\nX-Secret: 1\r\nContent-Length: 8\r\n\r\nbody")
	deployBuffered(d, raw.target())
	head, body := ask(t, d, "GET /", "a.example")
	if status(head) != "502" || !strings.Contains(body, "502 Bad Gateway") || field(head, "X-Secret") != nil {
		t.Errorf("%q %.80q, want the page 502", head, body)
	}
}

func TestResponseLimit(t *testing.T) {
	d := startDaemon(t)
	big := strings.Repeat("x", 100)
	for name, c := range map[string]struct{ answer, status string }{
		"at the limit":         {"Content-Length: 10\r\n\r\n0123456789", "200"},
		"at the limit, chunks": {"Transfer-Encoding: chunked\r\n\r\na\r\n0123456789\r\n0\r\n\r\n", "200"},
		"by its length":        {"Content-Length: 100\r\n\r\n" + big, "500"},
		"in chunks":            {"Transfer-Encoding: chunked\r\n\r\n64\r\n" + big + "\r\n0\r\n\r\n", "500"},
		"until the end":        {"\r\n" + big, "500"},
		"short, until the end": {"\r\n0123456789", "200"},
	} {
		raw := script(t, nil, "HTTP/1.1 200 OK\r\nX-Secret: 1\r\n"+c.answer)
		deployBuffered(d, raw.target(), "--max-response-body", "10")
		head, body := ask(t, d, "GET /", "a.example")
		if status(head) != c.status {
			t.Errorf("%s: %q %.40q, want %s", name, head, body, c.status)
		}
		if c.status == "500" && (field(head, "X-Secret") != nil || !strings.Contains(body, "<html") || !strings.Contains(body, "500")) {
			t.Errorf("%s: %q %.40q, want a page with nothing of the target's on it", name, head, body)
		}
	}
	raw := script(t, nil, "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n")
	deployBuffered(d, raw.target(), "--max-response-body", "10")
	if head, _ := ask(t, d, "HEAD /", "a.example"); status(head) != "200" || fmt.Sprint(field(head, "Content-Length")) != "[100]" {
		t.Errorf("HEAD of a long one: %q, want 200 with its length: it has no body", head)
	}
	raw = script(t, nil, "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n"+big)
	d.must("deploy", "web", "--target", raw.target(), "--buffer-responses=false", "--max-response-body", "10")
	if head, _ := ask(t, d, "GET /", "a.example"); status(head) != "200" {
		t.Errorf("--buffer-responses=false: %q, want no limit", head)
	}
}

func TestStreamsAndTheResponseLimit(t *testing.T) {
	d := startDaemon(t)
	chunked := "Transfer-Encoding: chunked\r\n\r\n4\r\npart\r\n"
	for name, c := range map[string]struct {
		head  string
		flags []string
		held  bool
	}{
		"plain":                 {chunked, nil, false},
		"plain, with limit":     {chunked, []string{"--max-response-body", "1000"}, true},
		"SSE":                   {"Content-Type: text/event-stream\r\n" + chunked, nil, false},
		"SSE, with limit":       {"Content-Type: text/event-stream; charset=utf-8\r\n" + chunked, []string{"--max-response-body", "1000"}, false},
		"a small limit for SSE": {"Content-Type: text/event-stream\r\n" + chunked, []string{"--max-response-body", "1"}, false},
	} {
		sign := make(chan struct{})
		raw := script(t, sign, "HTTP/1.1 200 OK\r\n"+c.head, "0\r\n\r\n")
		deployBuffered(d, raw.target(), c.flags...)
		conn := dial(t, d)
		fmt.Fprint(conn, "GET / HTTP/1.1\r\nHost: a.example\r\nConnection: close\r\n\r\n")
		r := bufio.NewReader(conn)
		if c.held {
			if !pending(conn) {
				t.Errorf("%s: a part came before the end", name)
			}
			sign <- struct{}{}
		}
		if head, err := readHead(r); err != nil || status(head) != "200" {
			t.Errorf("%s: %q, %v", name, head, err)
		}
		if !c.held {
			part := make([]byte, len("4\r\npart\r\n"))
			if _, err := io.ReadFull(r, part); err != nil || string(part) != "4\r\npart\r\n" {
				t.Errorf("%s: %q, %v, want the first part at once", name, part, err)
			}
			sign <- struct{}{}
		} else if rest, err := io.ReadAll(r); err != nil || !strings.Contains(string(rest), "part") {
			t.Errorf("%s: %q, %v, want the part", name, rest, err)
		}
	}
}

// A target is free as soon as it has written, however slowly its client reads.
func TestSlowClientHoldsUpNoTarget(t *testing.T) {
	d := startDaemon(t)
	const size = 24 << 20 // more than sockets take
	part := noise(1 << 20)
	free := make(chan struct{}, 1)
	a := startApp(t, "a", func(mux *http.ServeMux) {
		for path, length := range map[string]bool{"/length": true, "/stream": false} {
			mux.HandleFunc(path, func(w http.ResponseWriter, _ *http.Request) {
				if length {
					w.Header().Set("Content-Length", strconv.Itoa(size))
				}
				for range size / len(part) {
					if _, err := w.Write(part); err != nil {
						return
					}
				}
				free <- struct{}{}
			})
		}
	})
	deployBuffered(d, a.target(), "--buffer-memory", "1000000")
	for _, path := range []string{"/length", "/stream"} {
		request := d.request("GET", "a.example", path, nil)
		request.Close = true
		response, err := http.DefaultTransport.RoundTrip(request)
		if err != nil {
			t.Fatal(err)
		}
		within(t, path+": the target has written all, while the client reads nothing", free)
		var got int
		for buffer := make([]byte, len(part)); ; {
			n, err := io.ReadFull(response.Body, buffer)
			if !bytes.Equal(buffer[:n], part[:n]) {
				t.Fatalf("%s: wrong bytes at %d", path, got)
			}
			if got += n; err != nil {
				break
			}
		}
		response.Body.Close()
		if got != size {
			t.Errorf("%s: %d bytes arrived, want %d", path, got, size)
		}
	}
}

func TestUpgradesAreNotHeld(t *testing.T) {
	d := startDaemon(t)
	a := startApp(t, "a", switching("chat", func(c net.Conn, r *bufio.Reader) { io.Copy(c, r) }))
	deployBuffered(d, a.target(), "--max-request-body", "10", "--max-response-body", "10")
	c, r := upgrade(t, d, "chat")
	hello := strings.Repeat("hello", 10)
	fmt.Fprint(c, hello)
	echo := make([]byte, len(hello))
	if _, err := io.ReadFull(r, echo); err != nil || string(echo) != hello {
		t.Errorf("echo: %q, %v", echo, err)
	}
}

func TestManyHeldBodiesAtOnce(t *testing.T) {
	t.Parallel()
	d := startDaemon(t)
	a := startApp(t, "a", echoing)
	deployBuffered(d, a.target(), "--buffer-memory", "10000")
	want := string(noise(200_000))
	results := make(chan error)
	for range 20 {
		go func() {
			client := &http.Client{Timeout: patience, Transport: &http.Transport{DisableKeepAlives: true}}
			response, err := client.Post(d.url("/echo"), "text/plain", strings.NewReader(want))
			if err != nil {
				results <- err
				return
			}
			defer response.Body.Close()
			body, err := io.ReadAll(response.Body)
			if err == nil && string(body) != want {
				err = fmt.Errorf("%d with %d bytes that are not those sent", response.StatusCode, len(body))
			}
			results <- err
		}()
	}
	deadline := time.After(patience)
	for range 20 {
		select {
		case err := <-results:
			if err != nil {
				t.Error(err)
			}
		case <-deadline:
			t.Fatal("not all have ended")
		}
	}
}
