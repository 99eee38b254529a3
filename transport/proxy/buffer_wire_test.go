package proxy

import (
	"bytes"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"os"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"kamal-proxy/transport/upstream"
)

// newBufferingWire is a Proxy between real sockets that keeps bodies, as Kamal
// wants it for everybody.
func newBufferingWire(t testing.TB, app http.HandlerFunc, options upstream.Options) *wire {
	t.Helper()
	checkTemporaryFiles(t)
	w := newWire(t, app, options)
	o := &w.policy.TargetOptions
	o.BufferRequests, o.BufferResponses, o.MaxMemoryBufferSize = true, true, 1<<20
	return w
}

// content returns n bytes whose order matters.
func content(n int) []byte {
	p := make([]byte, n)
	source := rand.NewChaCha8([32]byte{7})
	source.Read(p)
	return p
}

// eventually polls until done.
func eventually(t testing.TB, what string, done func() bool) {
	t.Helper()
	for deadline := time.Now().Add(patience); !done(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("%s: not within %v", what, patience)
		}
	}
}

// line waits for the end of a request and returns its line of the log.
func (w *wire) line(t *testing.T) (status int, sent int64) {
	t.Helper()
	select {
	case <-w.logged:
	case <-time.After(patience):
		t.Fatal("nothing was logged")
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	last := w.entries[len(w.entries)-1]
	return last.Status, last.RespContentLength
}

func TestWireBufferedBodies(t *testing.T) {
	type seen struct {
		length int64
		coding string
		body   []byte
	}
	var got seen
	limited := false
	w := newBufferingWire(t, func(rw http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			t.Errorf("the target could not read the request: %v", err)
		}
		got = seen{r.ContentLength, strings.Join(r.TransferEncoding, ","), body}
		if r.Header.Get("X-Chunked") != "" {
			rw.WriteHeader(200)
			rw.(http.Flusher).Flush()
		} else {
			rw.Header().Set("Content-Length", fmt.Sprint(len(body)))
		}
		rw.Write(body)
	}, upstream.Options{})
	for _, size := range []int{0, 1, 4096, 64 << 10, 64<<10 + 1, 1 << 20, 1<<20 + 1, 10 << 20} {
		for _, chunkedUp := range []bool{false, true} {
			for _, chunkedDown := range []bool{false, true} {
				limited = !limited && chunkedDown
				w.policy.TargetOptions.MaxResponseBodySize = map[bool]int64{true: 20 << 20}[limited]
				name := fmt.Sprintf("%d bytes, chunked %v and %v, limited %v", size, chunkedUp, chunkedDown, limited)
				want := content(size)
				request, _ := http.NewRequest("POST", w.url+"/", io.NopCloser(bytes.NewReader(want)))
				if request.ContentLength = int64(size); chunkedUp {
					request.ContentLength = -1
				}
				if chunkedDown {
					request.Header.Set("X-Chunked", "yes")
				}
				response, body := w.do(t, request)
				expect(t, name+": what arrived is what was sent", bytes.Equal(got.body, want), true)
				expect(t, name+": the target's length", fmt.Sprint(got.length, got.coding), fmt.Sprint(size))
				expect(t, name+": what came back is what was sent", body == string(want), true)
				told := int64(size)
				if chunkedDown && !limited {
					told = -1
				}
				expect(t, name+": the client's length", response.ContentLength, told)
				status, sent := w.line(t)
				expect(t, name+": logged", fmt.Sprint(status, sent), fmt.Sprint(200, size))
			}
		}
	}
	expect(t, "goodbyes", w.finished, 32)
}

func TestWireRequestTooLarge(t *testing.T) {
	var asked atomic.Int64
	w := newBufferingWire(t, func(rw http.ResponseWriter, r *http.Request) { asked.Add(1) }, upstream.Options{})
	w.policy.TargetOptions.MaxRequestBodySize = 5
	for name, request := range map[string]string{
		"length, not sent yet": "Content-Length: 6\r\nExpect: 100-continue\r\n\r\n",
		"chunked":              "Transfer-Encoding: chunked\r\n\r\n4\r\nabcd\r\n2\r\nef\r\n0\r\n\r\n",
	} {
		_, in := w.raw(t, "POST / HTTP/1.1\r\nHost: a\r\n"+request)
		response, err := http.ReadResponse(in, nil)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		expect(t, name+": status", response.StatusCode, 413)
		w.expectLogged(t, 413)
	}
	expect(t, "questions to the target", asked.Load(), 0)
}

func TestWireUploadThatIsWaitedFor(t *testing.T) {
	w := newBufferingWire(t, func(rw http.ResponseWriter, r *http.Request) { io.Copy(rw, r.Body) }, upstream.Options{})
	conn, in := w.raw(t, "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 6\r\nExpect: 100-continue\r\n\r\n")
	receive(t, readerConn{r: in}, []byte("HTTP/1.1 100 Continue\r\n\r\n"))
	send(t, conn, []byte("sesame"))
	response, err := http.ReadResponse(in, nil)
	if err != nil {
		t.Fatal(err)
	}
	body, _ := io.ReadAll(response.Body)
	expect(t, "answer", fmt.Sprint(response.StatusCode, string(body)), "200sesame")
}

func TestWireTargetDiesHalfwayWithBuffering(t *testing.T) {
	for _, c := range []struct {
		name, framing string
		limit         int64
		status        int // 0: broken off
	}{
		{"held", "Content-Length: 100", 0, 502},
		{"held for its limit", "Transfer-Encoding: chunked", 1000, 502},
		{"streamed", "Transfer-Encoding: chunked", 0, 0},
	} {
		w := newBufferingWire(t, func(rw http.ResponseWriter, r *http.Request) {
			conn, out, _ := rw.(http.Hijacker).Hijack()
			fmt.Fprintf(out, "HTTP/1.1 200 OK\r\nX-App: yes\r\n%s\r\n\r\n4\r\nhalf\r\n", c.framing)
			out.Flush()
			conn.Close()
		}, upstream.Options{})
		w.policy.TargetOptions.MaxResponseBodySize = c.limit
		_, in := w.raw(t, "GET / HTTP/1.1\r\nHost: a\r\n\r\n")
		response, err := http.ReadResponse(in, nil)
		var body []byte
		if err == nil {
			body, err = io.ReadAll(response.Body)
		}
		switch {
		case c.status == 0 && err == nil:
			t.Errorf("%s: the client takes half a response for a whole one", c.name)
		case c.status != 0 && err != nil:
			t.Errorf("%s: %v", c.name, err)
		case c.status != 0:
			expect(t, c.name+": status", response.StatusCode, c.status)
			expect(t, c.name+": page", strings.Contains(string(body), "502 Bad Gateway"), true)
			expect(t, c.name+": target's header on the page", response.Header.Get("X-App"), "")
		}
		w.expectLogged(t, 502)
	}
}

func TestWireStreamsAndEventsComeAtOnceWithBuffering(t *testing.T) {
	for contentType, limit := range map[string]int64{"text/plain": 0, "text/event-stream": 1000} {
		next := make(chan struct{})
		w := newBufferingWire(t, func(rw http.ResponseWriter, r *http.Request) {
			rw.Header().Set("Content-Type", contentType)
			rw.WriteHeader(200)
			rw.(http.Flusher).Flush()
			for range next {
				io.WriteString(rw, "data: x\n\n")
				rw.(http.Flusher).Flush()
			}
		}, upstream.Options{})
		w.policy.TargetOptions.MaxResponseBodySize = limit
		response, err := (&http.Client{Transport: &http.Transport{DisableKeepAlives: true}}).Get(w.url + "/") // returns with the head
		if err != nil {
			t.Fatal(err)
		}
		for range 3 {
			next <- struct{}{}
			receive(t, readerConn{r: response.Body}, []byte("data: x\n\n"))
		}
		close(next)
		w.expectLogged(t, 200)
		response.Body.Close()
	}
}

func TestWireHeadAndHintsWithBuffering(t *testing.T) {
	w := newBufferingWire(t, func(rw http.ResponseWriter, r *http.Request) {
		if r.Method == "HEAD" {
			rw.Header().Set("Content-Length", "1234")
			return
		}
		rw.Header().Set("Link", "</a.css>")
		rw.WriteHeader(103)
		rw.Header().Del("Link")
		rw.WriteHeader(404)
		io.WriteString(rw, "gone")
	}, upstream.Options{})
	w.policy.TargetOptions.MaxResponseBodySize = 100
	request, _ := http.NewRequest("HEAD", w.url+"/", nil)
	response, _ := w.do(t, request)
	expect(t, "HEAD", fmt.Sprint(response.StatusCode, response.ContentLength), "200 1234")
	request, _ = http.NewRequest("GET", w.url+"/", nil)
	response, body := w.do(t, request)
	expect(t, "answer", fmt.Sprint(response.StatusCode, body), "404gone")
	expect(t, "leaked hint", response.Header.Get("Link"), "")
}

func TestWireTrailersWithBuffering(t *testing.T) {
	for name, limit := range map[string]int64{"streamed": 0, "held": 100} {
		var up string
		w := newBufferingWire(t, func(rw http.ResponseWriter, r *http.Request) {
			io.Copy(io.Discard, r.Body)
			up = r.Trailer.Get("X-Up")
			rw.Header().Set("Trailer", "X-Sum")
			io.WriteString(rw, "abc")
			rw.(http.Flusher).Flush()
			rw.Header().Set("X-Sum", "7")
		}, upstream.Options{})
		w.policy.TargetOptions.MaxResponseBodySize = limit
		request, _ := http.NewRequest("POST", w.url+"/", io.MultiReader(strings.NewReader("a")))
		request.Trailer = http.Header{"X-Up": {"5"}}
		response, body := w.do(t, request)
		expect(t, name+": trailer up", up, "5")
		expect(t, name+": body", body, "abc")
		expect(t, name+": trailer down", response.Trailer.Get("X-Sum"), "7")
	}
}

// A target that closes a kept connection costs no upload that is at hand.
func TestWireUploadThatMeetsADeadConnection(t *testing.T) {
	var dropped atomic.Bool
	var got []byte
	w := newBufferingWire(t, func(rw http.ResponseWriter, r *http.Request) {
		if r.Method == "PUT" && dropped.CompareAndSwap(false, true) {
			conn, _, _ := rw.(http.Hijacker).Hijack()
			io.CopyN(io.Discard, conn, 1<<20)
			conn.Close()
			return
		}
		got, _ = io.ReadAll(r.Body)
	}, upstream.Options{})
	request, _ := http.NewRequest("GET", w.url+"/", nil)
	w.do(t, request)
	want := content(5 << 20)
	request, _ = http.NewRequest("PUT", w.url+"/", bytes.NewReader(want))
	response, _ := w.do(t, request)
	expect(t, "status", response.StatusCode, 200)
	expect(t, "dropped once", dropped.Load(), true)
	expect(t, "what arrived is what was sent", bytes.Equal(got, want), true)
}

func TestWireTemporaryFilesHaveNoName(t *testing.T) {
	reached, goOn := make(chan struct{}), make(chan struct{})
	w := newBufferingWire(t, func(rw http.ResponseWriter, r *http.Request) {
		io.CopyN(io.Discard, r.Body, 1)
		close(reached)
		<-goOn
		io.Copy(io.Discard, r.Body)
	}, upstream.Options{})
	go func() {
		defer close(goOn)
		<-reached
		dir := os.TempDir()
		if entries, _ := os.ReadDir(dir); len(entries) > 0 {
			t.Errorf("a temporary file can be seen: %s", entries[0].Name())
		}
		if len(temporaryFiles(t, dir)) == 0 {
			t.Error("there is no temporary file: the test proves nothing")
		}
	}()
	request, _ := http.NewRequest("POST", w.url+"/", bytes.NewReader(content(10<<20)))
	response, _ := w.do(t, request)
	expect(t, "status", response.StatusCode, 200)
}
