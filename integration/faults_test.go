package integration

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"sync"
	"testing"
	"time"
)

// fault is something that goes wrong between us and a target, and what a
// client then sees.
type fault struct {
	name   string
	toxics []toxic
	path   string
	body   string // makes it a POST

	want     string // "200 whole", "200 cut", "502", "504"
	buffered string // with buffering, where that is not the same
	from, to time.Duration
}

const (
	faultTimeout = 4 * time.Second // --target-timeout of those who run into it
	soon         = 8 * time.Second
	late         = 15 * time.Second
)

var block = strings.Repeat("0123456789abcdef", 8192) // 128 KiB

var faults = []fault{
	{name: "latency", toxics: []toxic{downstream("latency", map[string]int{"latency": 300})},
		path: "/block", want: "200 whole", from: 300 * time.Millisecond, to: late},
	{name: "too much latency", toxics: []toxic{downstream("latency", map[string]int{"latency": 6000})},
		path: "/", want: "504", from: faultTimeout, to: late},
	{name: "reset", toxics: []toxic{downstream("reset_peer", map[string]int{"timeout": 0})},
		path: "/block", want: "502", to: soon},
	{name: "reset during a POST", toxics: []toxic{upstream("reset_peer", map[string]int{"timeout": 0})},
		path: "/upload", body: block, want: "502", to: soon},
	{name: "cut in the head", toxics: []toxic{downstream("limit_data", map[string]int{"bytes": 20})},
		path: "/block", want: "502", to: soon},
	{name: "cut in a body of known length", toxics: []toxic{downstream("limit_data", map[string]int{"bytes": 40_000})},
		path: "/block", want: "200 cut", buffered: "502", to: soon},
	{name: "cut in a chunked body", toxics: []toxic{downstream("limit_data", map[string]int{"bytes": 40_000})},
		path: "/chunks", want: "200 cut", to: soon},
	{name: "no answer", toxics: []toxic{downstream("timeout", map[string]int{"timeout": 0})},
		path: "/block", want: "504", from: faultTimeout, to: late},
	{name: "a POST that is never taken", toxics: []toxic{upstream("timeout", map[string]int{"timeout": 0})},
		path: "/upload", body: block, want: "504", from: faultTimeout, to: late},
	{name: "closed without an answer", toxics: []toxic{downstream("timeout", map[string]int{"timeout": 200})},
		path: "/block", want: "502", from: 200 * time.Millisecond, to: soon},
	{name: "little bandwidth for an answer", toxics: []toxic{downstream("bandwidth", map[string]int{"rate": 256})},
		path: "/block", want: "200 whole", from: 300 * time.Millisecond, to: late},
	{name: "little bandwidth for a POST", toxics: []toxic{upstream("bandwidth", map[string]int{"rate": 256})},
		path: "/upload", body: block, want: "200 whole", from: 300 * time.Millisecond, to: late},
	{name: "in pieces", toxics: []toxic{downstream("slicer", map[string]int{"average_size": 500, "size_variation": 499})},
		path: "/chunks", want: "200 whole", to: late},
	{name: "slow close behind an answer that has ended", toxics: []toxic{downstream("slow_close", map[string]int{"delay": 12000})},
		path: "/close", want: "200 whole", to: soon},
	{name: "slow close that ends the answer", toxics: []toxic{downstream("slow_close", map[string]int{"delay": 500})},
		path: "/until-close", want: "200 whole", from: 500 * time.Millisecond, to: late},
}

// faultyApp answers in each way that a response can end.
func faultyApp(t *testing.T) *app {
	t.Helper()
	return startApp(t, "faulty", func(mux *http.ServeMux) {
		mux.HandleFunc("/block", func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", fmt.Sprint(len(block)))
			io.WriteString(w, block)
		})
		mux.HandleFunc("/chunks", func(w http.ResponseWriter, _ *http.Request) {
			for piece := range len(block) / 8192 {
				io.WriteString(w, block[piece*8192:][:8192])
				w.(http.Flusher).Flush()
			}
		})
		mux.HandleFunc("/close", func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Connection", "close")
			w.Header().Set("Content-Length", fmt.Sprint(len(block)))
			io.WriteString(w, block)
		})
		mux.HandleFunc("/until-close", func(w http.ResponseWriter, _ *http.Request) {
			conn, _, err := http.NewResponseController(w).Hijack()
			if err != nil {
				return
			}
			defer conn.Close()
			io.WriteString(conn, "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n"+block)
		})
		mux.HandleFunc("/upload", func(w http.ResponseWriter, r *http.Request) {
			if body, err := io.ReadAll(r.Body); err == nil {
				w.Write(body)
			}
		})
	})
}

// Each fault costs what it has to and no more, clients can tell that an answer
// was cut, the next requests are well when the fault is over, and nothing of it
// stays.
func TestFaultsBetweenUsAndTheTarget(t *testing.T) {
	t.Parallel()
	d, toxi, a := startScraped(t), startToxiproxy(t), faultyApp(t)
	d.must("deploy", "first", "--host", "first.example", "--target", a.target())
	d.get("first.example", "/block")
	d.must("remove", "first")
	before := d.usage()
	var all sync.WaitGroup
	for _, mode := range []string{"plain", "buffered"} {
		for n, f := range faults {
			all.Go(func() { f.run(t, d, toxi, a, fmt.Sprintf("%s-%d", mode, n), mode == "buffered") })
		}
	}
	all.Wait()
	nothingStays(t, d, before)
}

// run has a service of its own go through a fault.
func (f fault) run(t *testing.T, d *daemon, toxi *toxiproxy, a *app, name string, buffered bool) {
	host := name + ".example"
	deploy := []string{"deploy", name, "--host", host, "--target", toxi.lead(name, a.target())}
	if f.want == "504" {
		deploy = append(deploy, "--target-timeout", faultTimeout.String())
	}
	if buffered {
		deploy = append(deploy, "--buffer-requests", "--buffer-responses")
	}
	d.must(deploy...)
	f.wellAgain(t, d, host, "before")
	heal := toxi.spoil(name, f.toxics...)
	want := f.want
	if buffered && f.buffered != "" {
		want = f.buffered
	}
	for range 2 { // on a connection that was kept, perhaps, and on a new one
		asked := time.Now()
		got, took := f.ask(d, host)
		early := took < f.from && stoodStill(asked) == 0 // toxics make up for lost time
		if got != want || early || took > f.to {
			t.Errorf("%s (%s): got %s after %s, want %s from %s to %s", f.name, name, got, took, want, f.from, f.to)
		}
	}
	heal()
	f.wellAgain(t, d, host, "after")
	d.must("remove", name)
}

// wellAgain wants one whole answer after the other, and none that was a second
// attempt's luck: POSTs are not repeated.
func (f fault) wellAgain(t *testing.T, d *daemon, host, when string) {
	t.Helper()
	for n := range 6 {
		well := fault{path: "/block"}
		if n%2 == 1 {
			well = fault{path: "/upload", body: block}
		}
		if got, took := well.ask(d, host); got != "200 whole" {
			t.Errorf("%s: %s the fault, request %d got %s after %s", f.name, when, n, got, took)
		}
	}
}

// ask sends the request, and says what a client sees.
func (f fault) ask(d *daemon, host string) (got string, took time.Duration) {
	client := &http.Client{Timeout: patience, Transport: &http.Transport{DisableKeepAlives: true}}
	method := http.MethodGet
	if f.body != "" {
		method = http.MethodPost
	}
	request := d.request(method, host, f.path, strings.NewReader(f.body))
	begun := time.Now()
	response, err := client.Do(request)
	if err != nil {
		return err.Error(), time.Since(begun)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	took = time.Since(begun)
	switch {
	case response.StatusCode != http.StatusOK:
		return fmt.Sprint(response.StatusCode), took
	case errors.Is(err, io.ErrUnexpectedEOF):
		return "200 cut", took
	case err != nil:
		return err.Error(), took
	case string(body) != block:
		return fmt.Sprintf("200 with %d bytes that look whole", len(body)), took
	}
	return "200 whole", took
}

// A stream that is reset under way ends for its client in a way that no one
// takes for its end.
func TestResetDuringAStreamIsSeen(t *testing.T) {
	t.Parallel()
	d, toxi := startDaemon(t), startToxiproxy(t)
	first := make(chan struct{}, 2)
	a := startApp(t, "a", func(mux *http.ServeMux) {
		mux.HandleFunc("/stream", func(w http.ResponseWriter, r *http.Request) {
			for range 1000 {
				io.WriteString(w, "data: more\n\n")
				w.(http.Flusher).Flush()
				select {
				case first <- struct{}{}:
				default:
				}
				select {
				case <-time.After(20 * time.Millisecond):
				case <-r.Context().Done():
					return
				}
			}
		})
	})
	for _, flags := range [][]string{nil, buffered} {
		name := fmt.Sprint("stream", len(flags))
		d.must(append([]string{"deploy", name, "--host", name + ".example", "--target", toxi.lead(name, a.target())}, flags...)...)
		response, err := http.DefaultClient.Do(d.request(http.MethodGet, name+".example", "/stream", nil))
		if err != nil {
			t.Fatal(err)
		}
		<-first
		heal := toxi.spoil(name, downstream("reset_peer", map[string]int{"timeout": 0}))
		if body, err := io.ReadAll(response.Body); err == nil {
			t.Errorf("%v: a stream of %d bytes looks whole", flags, len(body))
		}
		response.Body.Close()
		heal()
	}
}

// A WebSocket whose way to the target breaks ends for its client, too, and
// leaves nothing behind.
func TestResetDuringAWebSocketEndsIt(t *testing.T) {
	t.Parallel()
	d, toxi := startScraped(t), startToxiproxy(t)
	a := startApp(t, "a", switching("websocket", func(conn net.Conn, r *bufio.Reader) { echoFrames(conn, r) }))
	d.must("deploy", "web", "--target", toxi.lead("web", a.target()))
	d.get("web.example", "/")
	before := d.usage()
	for range 3 {
		conn, r := upgrade(t, d, "websocket")
		writeFrame(conn, frame{1, true, []byte("hello")})
		if f, err := readFrame(r); err != nil || string(f.payload) != "hello" {
			t.Fatalf("echo: %q, %v", f.payload, err)
		}
		heal := toxi.spoil("web", downstream("reset_peer", map[string]int{"timeout": 0}))
		writeFrame(conn, frame{1, true, []byte("lost")})
		if f, err := readFrame(r); err == nil && f.opcode != 8 {
			t.Errorf("%+v came through a reset", f)
		}
		if _, err := io.ReadAll(r); errors.Is(err, os.ErrDeadlineExceeded) {
			t.Error("the client's connection stays open")
		}
		conn.Close()
		heal()
	}
	nothingStays(t, d, before)
}

// A target that shuts its side down behind an answer, and goes on reading, is
// not asked again on that connection; one that does it instead of an answer
// gives a 502.
func TestHalfClosedTargetsLoseNothing(t *testing.T) {
	t.Parallel()
	d := startDaemon(t)
	closed := make(chan struct{}, 100)
	target := startRaw(t, func(c net.Conn, r *bufio.Reader) {
		fmt.Fprint(c, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
		c.(*net.TCPConn).CloseWrite()
		closed <- struct{}{}
		io.Copy(io.Discard, r)
	})
	d.must("deploy", "web", "--target", target.target())
	client := &http.Client{Timeout: patience}
	for n := range 50 {
		method := http.MethodGet // repeated, where it met the close
		if n%5 == 0 {
			method = http.MethodPost
			for range min(n, 5) {
				within(t, "the target shuts its side down", closed)
			}
		}
		response, err := client.Do(d.request(method, "web.example", "/", nil))
		if err != nil {
			t.Fatal(err)
		}
		if body, err := whole(response); err != nil || body != "ok" {
			t.Fatalf("%s %d: %q, %v", method, n, tail(body, 100), err)
		}
	}
	eventually(t, "half-closed connections are closed", func() error {
		if open := target.connections(); open > 1 {
			return fmt.Errorf("%d connections are open", open)
		}
		return nil
	})
	mute := startRaw(t, func(c net.Conn, r *bufio.Reader) {
		c.(*net.TCPConn).CloseWrite()
		io.Copy(io.Discard, r)
	})
	d.must("deploy", "web", "--target", mute.target())
	if status, _ := d.get("web.example", "/"); status != http.StatusBadGateway {
		t.Errorf("a half-close instead of an answer gives %d, want 502", status)
	}
}

// Deploys whose target is behind a fault: those that can succeed do, the
// others say why and leave what serves alone.
func TestDeploysAcrossFaults(t *testing.T) {
	t.Parallel()
	d, toxi := startDaemon(t), startToxiproxy(t)
	old, next := startApp(t, "old"), startApp(t, "next")
	d.must("deploy", "web", "--target", old.target())
	way := toxi.lead("next", next.target())
	deploy := []string{"deploy", "web", "--target", way, "--deploy-timeout", "700ms", "--health-check-timeout", "300ms", "--health-check-interval", "100ms"}
	for _, sick := range []toxic{
		downstream("latency", map[string]int{"latency": 800}),
		downstream("timeout", map[string]int{"timeout": 0}),
		downstream("reset_peer", map[string]int{"timeout": 0}),
		downstream("limit_data", map[string]int{"bytes": 10}),
		upstream("timeout", map[string]int{"timeout": 0}),
	} {
		heal := toxi.spoil("next", sick)
		d.refused("target failed to become healthy within configured timeout (700ms)", deploy...)
		heal()
		if _, body := d.get("web.example", "/"); body != "old" {
			t.Errorf("%s: after a refused deploy %q serves, want old", sick.Type, body)
		}
	}

	heal := toxi.spoil("next", downstream("latency", map[string]int{"latency": 100}))
	d.must(append(deploy, "--deploy-timeout", "20s", "--health-check-timeout", "5s")...)
	heal()
	if _, body := d.get("web.example", "/"); body != "next" {
		t.Errorf("%q serves, want next: its checks were slow, but in time", body)
	}

	d.must("deploy", "web", "--target", old.target())
	toxi.open("next", false)
	checked := next.checked.Load()
	time.AfterFunc(500*time.Millisecond, func() { toxi.open("next", true) })
	d.must(append(deploy, "--deploy-timeout", "20s")...)
	if next.checked.Load() == checked {
		t.Error("the deploy succeeded without a check")
	}
	if _, body := d.get("web.example", "/"); body != "next" {
		t.Errorf("%q serves, want next: the fault was over in time", body)
	}
}

// nothingStays waits until a daemon holds no more than before.
func nothingStays(t *testing.T, d *daemon, before usage) {
	t.Helper()
	var after usage
	eventually(t, "goroutines and descriptors go back to what they were", func() error {
		after = d.usage()
		if after.goroutines > before.goroutines+2 || after.descriptors > before.descriptors+1 {
			return fmt.Errorf("before: %s; after: %s", before, after)
		}
		return nil
	})
	t.Logf("before: %s; after: %s", before, after)
}
