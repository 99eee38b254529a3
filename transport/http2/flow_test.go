package http2

import (
	"errors"
	"io"
	"strings"
	"testing"

	"golang.org/x/net/http2"

	"kamal-proxy/transport/exchange"
)

func window(size uint32) http2.Setting {
	return http2.Setting{ID: http2.SettingInitialWindowSize, Val: size}
}

func TestResponsesKeepToTheWindows(t *testing.T) {
	body := strings.Repeat("x", 100)
	c := serve(t, func(e exchange.Exchange) {
		e.Respond(200, nil, int64(len(body)))
		io.WriteString(e, body)
	}).dial(t, window(10))
	c.request(1, true, get...)
	c.want("headers", 1)
	if e := c.want("data", 1); len(e.data) != 10 {
		t.Fatalf("got %v", e)
	}
	c.WriteWindowUpdate(1, 20)
	if e := c.want("data", 1); len(e.data) != 20 {
		t.Fatalf("got %v", e)
	}
	c.WriteSettings(window(15)) // five more
	if e := c.want("data", 1); len(e.data) != 5 {
		t.Fatalf("got %v", e)
	}
	c.WriteSettings(window(5)) // below what was sent
	c.WriteWindowUpdate(1, 7)
	c.WritePing(false, [8]byte{1})
	if e := c.next(); e.kind != "pong" {
		t.Fatalf("got %v", e)
	}
	c.WriteWindowUpdate(1, 1000)
	got := 35
	for {
		e := c.want("data", 1)
		if got += len(e.data); e.end {
			break
		}
	}
	if got != len(body) {
		t.Errorf("%d bytes came", got)
	}
}

func TestASlowStreamDoesNotHoldUpOthers(t *testing.T) {
	c := serve(t, func(e exchange.Exchange) {
		e.Respond(200, nil, -1)
		if e.Request().Path != "/none" {
			io.WriteString(e, strings.Repeat("x", 1000))
		}
	}).dial(t, window(0))
	for id := uint32(1); id < 100; id += 2 {
		c.request(id, true, get...)
		c.want("headers", id)
	}
	c.request(101, true, changed(":path", "/none")...)
	if head, _, _ := c.answer(101); head.get(":status") != "200" {
		t.Errorf("got %v", head)
	}
	c.WriteWindowUpdate(51, 1000)
	if e := c.want("data", 51); len(e.data) != 1000 {
		t.Errorf("got %v", e)
	}
}

// TestTheConnectionsWindowIsShared has several streams wait for the window of
// all, and get their parts of it in turn.
func TestTheConnectionsWindowIsShared(t *testing.T) {
	const each = 200 << 10
	c := serve(t, func(e exchange.Exchange) {
		e.Respond(200, nil, each)
		io.WriteString(e, strings.Repeat("x", each))
	}).dial(t, window(1<<20))
	got := map[uint32]int{}
	for id := uint32(1); id < 10; id += 2 {
		c.request(id, true, get...)
	}
	heads := 0
	for total, ends := 0, 0; ends < 5; {
		switch e := c.next(); e.kind {
		case "headers":
			if heads++; heads == 5 && total < baseWindow {
				continue
			}
		case "data":
			got[e.stream] += len(e.data)
			total += len(e.data)
			if e.end {
				ends++
			}
			if len(e.data) > 0 {
				c.WriteWindowUpdate(0, uint32(len(e.data)))
			}
		default:
			t.Fatalf("got %v", e)
		}
	}
	for id, n := range got {
		if n != each {
			t.Errorf("stream %d got %d bytes", id, n)
		}
	}
}

func TestUploadsAreBounded(t *testing.T) {
	c := serve(t, func(e exchange.Exchange) {
		<-e.Context().Done() // reads nothing
	}).dial(t)
	c.request(1, false, post...)
	part := make([]byte, frameMost)
	for range baseWindow/frameMost + 1 {
		c.WriteData(1, false, part)
	}
	if e := c.want("reset", 1); e.code != http2.ErrCodeFlowControl {
		t.Errorf("got %v", e)
	}
}

func TestUploadsGoOnWhileTheyAreRead(t *testing.T) {
	const size = 3 << 20
	read := make(chan int64, 1)
	c := serve(t, func(e exchange.Exchange) {
		n, err := io.Copy(io.Discard, e.Request().Body)
		if err != nil {
			t.Error(err)
		}
		read <- n
		ok(e)
	}).dial(t)
	c.request(1, false, post...)
	all, one, updates := baseWindow, baseWindow, 0
	part := make([]byte, frameMost)
	for sent := 0; sent < size; {
		if n := min(len(part), size-sent, all, one); n > 0 {
			c.WriteData(1, sent+n == size, part[:n])
			sent, all, one = sent+n, all-n, one-n
			continue
		}
		e := c.next(true)
		if e.kind != "window" {
			t.Fatalf("got %v", e)
		}
		if updates++; e.stream == 0 {
			all += int(e.number)
		} else {
			one += int(e.number)
		}
	}
	if n := receive(t, read); n != size {
		t.Errorf("%d bytes came", n)
	}
	if updates > 50 {
		t.Errorf("%d updates of windows for %d frames", updates, size/frameMost)
	}
}

// TestWhatNobodyReadsIsGivenBack sends bodies that no Handler reads, more than
// the connection's window in all.
func TestWhatNobodyReadsIsGivenBack(t *testing.T) {
	s := serve(t, func(e exchange.Exchange) {
		switch e.Request().Path {
		case "/close":
			e.Request().Body.(io.Closer).Close()
			if _, err := e.Request().Body.Read(make([]byte, 1)); !errors.Is(err, errUploadClosed) {
				t.Errorf("a closed body: %v", err)
			}
		case "/abort":
			e.Abort()
			return
		}
		ok(e)
	})
	c := s.dial(t)
	all := baseWindow
	for i, total := 0, 0; total < 3*connWindow; i++ {
		id := uint32(2*i + 1)
		c.request(id, false, changed(":path", []string{"/", "/close", "/abort"}[i%3])...)
		for range 3 {
			for all < frameMost {
				if e := c.next(true); e.kind == "window" && e.stream == 0 {
					all += int(e.number)
				} else if e.kind == "goaway" || e.kind == "closed" {
					t.Fatalf("after %d bytes: %v", total, e)
				}
			}
			c.WriteData(id, false, make([]byte, frameMost))
			all -= frameMost
			total += frameMost
		}
		c.WriteRSTStream(id, http2.ErrCodeCancel)
	}
}

func TestManyLargeResponsesAtOnce(t *testing.T) {
	body := strings.Repeat("0123456789abcdef", 40<<10/16)
	s := serve(t, func(e exchange.Exchange) {
		e.Respond(200, nil, int64(len(body)))
		for i := 0; i < len(body); i += 1000 {
			if _, err := io.WriteString(e, body[i:min(i+1000, len(body))]); err != nil {
				t.Error(err)
			}
		}
	})
	c := s.dial(t, window(1<<20))
	c.WriteWindowUpdate(0, 1<<30)
	const streams = 200
	for i := range streams {
		c.request(uint32(2*i+1), true, get...)
	}
	got := map[uint32]*strings.Builder{}
	for ends := 0; ends < streams; {
		switch e := c.next(); e.kind {
		case "headers":
			got[e.stream] = &strings.Builder{}
		case "data":
			got[e.stream].WriteString(e.data)
			if e.end {
				ends++
				if got[e.stream].String() != body {
					t.Fatalf("stream %d is not as it was sent", e.stream)
				}
			}
		default:
			t.Fatalf("got %v", e)
		}
	}
}
