package http2

import (
	"bytes"
	"io"
	"runtime"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/net/http2"

	"kamal-proxy/transport/exchange"
)

// flood sends frames until the server has had enough, or there were too many.
// What is answered is read all the while.
func (c *client) flood(t *testing.T, most int, send func(i int) error) event {
	t.Helper()
	go func() {
		for i := range most {
			if send(i) != nil {
				return
			}
		}
	}()
	return c.goaway()
}

func TestFloodsEndTheConnection(t *testing.T) {
	hang := func(e exchange.Exchange) { <-e.Context().Done() }
	head := func(c *client, i int, end bool) error {
		return c.WriteHeaders(http2.HeadersFrameParam{StreamID: uint32(2*i + 1), BlockFragment: c.encode(get...), EndHeaders: true, EndStream: end})
	}
	for name, send := range map[string]func(c *client, i int) error{
		"PING":          func(c *client, i int) error { return c.WritePing(false, [8]byte{}) },
		"pong":          func(c *client, i int) error { return c.WritePing(true, [8]byte{}) },
		"SETTINGS":      func(c *client, i int) error { return c.WriteSettings(window(uint32(i))) },
		"ack":           func(c *client, i int) error { return c.WriteSettingsAck() },
		"PRIORITY":      func(c *client, i int) error { return c.WritePriority(uint32(2*i+1), http2.PriorityParam{Weight: 1}) },
		"WINDOW_UPDATE": func(c *client, i int) error { return c.WriteWindowUpdate(0, 1) },
		"unknown":       func(c *client, i int) error { return c.WriteRawFrame(0xbb, 0, 0, nil) },
		"GOAWAY":        func(c *client, i int) error { return c.WriteGoAway(0, 0, nil) },
		"empty DATA": func(c *client, i int) error {
			if i == 0 {
				return head(c, 0, false)
			}
			return c.WriteData(1, false, nil)
		},
		"rapid reset": func(c *client, i int) error {
			if err := head(c, i, true); err != nil {
				return err
			}
			return c.WriteRSTStream(uint32(2*i+1), http2.ErrCodeCancel)
		},
		"made to reset": func(c *client, i int) error {
			if err := head(c, i, false); err != nil {
				return err
			}
			return c.WriteWindowUpdate(uint32(2*i+1), 0)
		},
		"malformed": func(c *client, i int) error {
			return c.WriteHeaders(http2.HeadersFrameParam{StreamID: uint32(2*i + 1), BlockFragment: c.encode("x", "y"), EndHeaders: true})
		},
		"refused": func(c *client, i int) error { return head(c, i, true) },
		"not allowed": func(c *client, i int) error {
			return c.WriteHeaders(http2.HeadersFrameParam{StreamID: uint32(2*i + 1), BlockFragment: c.encode(changed(":path", "x")...), EndHeaders: true, EndStream: true})
		},
	} {
		t.Run(name, func(t *testing.T) {
			c := serve(t, hang).dial(t)
			last := c.flood(t, 20000, func(i int) error { return send(c, i) })
			if last.kind == "goaway" && last.code != http2.ErrCodeEnhanceYourCalm {
				t.Errorf("told %v", last)
			}
			if _, err := c.ReadFrame(); err == nil {
				t.Error("the connection goes on")
			}
		})
	}
}

func TestHeadsThatDoNotEnd(t *testing.T) {
	for name, part := range map[string][]byte{"empty": nil, "large": bytes.Repeat([]byte{0x80 | 2}, frameMost)} {
		t.Run(name, func(t *testing.T) {
			c := serve(t, refuse(t)).dial(t)
			last := c.flood(t, 1000, func(i int) error {
				if i == 0 {
					return c.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: c.encode(get...), EndStream: true})
				}
				return c.WriteContinuation(1, false, part)
			})
			if last.kind != "goaway" || last.code != http2.ErrCodeEnhanceYourCalm {
				t.Errorf("told %v", last)
			}
		})
	}
}

// TestABombOfHeadsCostsLittle names one large field again and again, a byte each
// time.
func TestABombOfHeadsCostsLittle(t *testing.T) {
	c := serve(t, refuse(t)).dial(t)
	block := append(slices.Clone(c.encode(with(get, "x", strings.Repeat("x", 4000))...)), bytes.Repeat([]byte{0x80 | 62}, 12000)...)
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	c.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: block, EndHeaders: true, EndStream: true})
	if head, _, _ := c.answer(1); head.get(":status") != "431" {
		t.Errorf("got %v", head)
	}
	runtime.ReadMemStats(&after)
	if grown := after.TotalAlloc - before.TotalAlloc; grown > 1<<20 {
		t.Errorf("it took %d bytes", grown)
	}
}

func TestAClientThatReadsNothingIsCutOff(t *testing.T) {
	s := start(t, Config{Handler: ok})
	c := s.dial(t)
	c.SetDeadline(time.Now().Add(2 * patience))
	for i := range 10_000_000 {
		if err := c.WriteWindowUpdate(uint32(0), 1); err != nil {
			break
		}
		if i%4 == 0 && c.WritePing(false, [8]byte{}) != nil {
			break
		}
	}
	eventually(t, "the connection is gone", func() bool { return s.Count() == 0 })
}

func TestTooManyStreamsAreRefused(t *testing.T) {
	release := make(chan struct{})
	s := start(t, Config{MaxStreams: 3, Handler: func(e exchange.Exchange) { <-release; ok(e) }})
	c := s.dial(t)
	for id := uint32(1); id < 9; id += 2 {
		c.request(id, true, get...)
	}
	if e := c.want("reset", 7); e.code != http2.ErrCodeRefusedStream {
		t.Errorf("got %v", e)
	}
	c.WriteRSTStream(1, http2.ErrCodeCancel)
	c.request(9, true, get...) // its Handler still runs
	if e := c.want("reset", 9); e.code != http2.ErrCodeRefusedStream {
		t.Errorf("got %v", e)
	}
	close(release)
	ends := 0
	for ends < 2 {
		if e := c.next(); e.kind == "reset" {
			t.Fatalf("got %v", e)
		} else if e.end {
			ends++
		}
	}
	c.request(11, true, get...)
	c.answer(11)
}

func TestHonestClientsAreNotNoisy(t *testing.T) {
	var served atomic.Int32
	c := serve(t, func(e exchange.Exchange) {
		served.Add(1)
		e.Respond(200, nil, -1)
		io.WriteString(e, strings.Repeat("x", 1000))
	}).dial(t)
	for i := range 5000 { // with two updates of windows and a priority for each
		id := uint32(2*i + 1)
		c.request(id, true, get...)
		c.WritePriority(id, http2.PriorityParam{Weight: 1})
		if head, body, _ := c.answer(id); head.get(":status") != "200" || len(body) != 1000 {
			t.Fatalf("request %d: %v", i, head)
		}
		c.WriteWindowUpdate(0, 1000)
		c.WriteWindowUpdate(id, 1000)
	}
}
