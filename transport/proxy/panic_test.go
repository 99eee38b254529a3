package proxy

import (
	"context"
	"io"
	"strings"
	"testing"
	"time"

	"kamal-proxy/actors/service"
	"kamal-proxy/transport/accesslog"
	"kamal-proxy/transport/crash"
	"kamal-proxy/transport/exchange"
)

// panicky panics where it is told to, in the place of what it stands for.
type panicky struct {
	*stage
	at string
}

func (p *panicky) did(step string) {
	if p.at == step {
		panic(step + " panics")
	}
}

func (p *panicky) Log(e *accesslog.Entry) { p.did("log"); p.stage.Log(e) }
func (p *panicky) Begin(name string)      { p.did("begin"); p.stage.Begin(name) }
func (p *panicky) End(name, method string, status int, d time.Duration) {
	p.did("end")
	p.stage.End(name, method, status, d)
}

// Whatever a stage does, the request is answered or broken off, its target is
// free, and what was counted is counted out.
func TestPanicInEachStage(t *testing.T) {
	slow := strings.Repeat("x", 100_000)
	for _, c := range []struct {
		at     string
		status int // 0: there is none
		lease  int
	}{
		{"ask", 500, 0},
		{"await", 500, 0},
		{"challenge", 500, 0},
		{"begin", 500, 1},
		{"upload", 500, 1},
		{"send", 500, 1},
		{"inform", 500, 1},
		{"respond", 0, 1}, // the page panics, too
		{"read", 200, 1},
		{"write", 200, 1},
		{"flush", 200, 1},
		{"close", 200, 1},
		{"end", 200, 1},
		{"log", 200, 1},
	} {
		t.Run(c.at, func(t *testing.T) {
			target := &fakeTarget{answer: func(_ context.Context, interim func(int, exchange.Header) error) (*exchange.Response, error) {
				if c.at == "send" {
					panic("send panics")
				}
				interim(103, header("Link", "</a.css>"))
				body := io.Reader(strings.NewReader(slow))
				if c.at == "read" {
					body = io.MultiReader(strings.NewReader("some"), readerFunc(func([]byte) (int, error) { panic("read panics") }))
				}
				return &exchange.Response{Status: 200, Body: body, ContentLength: -1}, nil
			}}
			var to service.Upstream = target
			if c.at == "close" {
				to = closes{target, func() { panic("close panics") }}
			}
			s := newStage(to)
			p := &panicky{s, c.at}
			s.config.Log, s.config.Metrics = p, p
			await := s.await
			s.config.Challenge = func(string, string) ([]byte, int, bool) { p.did("challenge"); return nil, 0, false }
			s.config.Ask = func(r *service.Route) { p.did("ask"); s.ask(r) }
			s.await = func(r *service.Route, ctx context.Context, leave func(*service.Route)) (service.Verdict, error) {
				p.did("await")
				return await(r, ctx, leave)
			}
			x := newExchange("POST", challengePrefix+"token")
			x.panics = c.at
			if c.at == "upload" {
				x.request.Body = readerFunc(func([]byte) (int, error) { panic("upload panics") })
			}
			before := crash.Total()
			func() {
				defer func() {
					if recover() != nil { // as its connection does
						crash.Made("")
					}
				}()
				s.Serve(x)
			}()
			x.leave()
			if n := crash.Total() - before; n == 0 || c.at != "respond" && n > 1 {
				t.Errorf("%d panics were counted", n)
			}
			expect(t, "status", x.status, c.status)
			expect(t, "goodbyes", s.finished, c.lease)
			if c.status == 500 {
				expect(t, "Connection", x.header.Get("Connection"), "close")
			} else if c.at != "close" && c.at != "end" && c.at != "log" {
				expect(t, "broken off", x.aborted, true)
			}
			if begun := strings.Contains(strings.Join(s.counts, " "), "begin"); begun && c.at != "end" {
				expect(t, "last count", s.counts[len(s.counts)-1], "end app POST")
			}
		})
	}
}
