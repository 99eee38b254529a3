package proxy

import (
	"context"
	"strings"
	"testing"

	"kamal-proxy/transport/accesslog"
	"kamal-proxy/transport/exchange"
)

// BenchmarkServe is the proxy's own share of a small request: everything but
// sockets, actors and the log.
func BenchmarkServe(b *testing.B) {
	body := strings.NewReader("")
	var response exchange.Response
	reply := header("Content-Type", "text/plain", "Content-Length", "5", "Date", "x", "Server", "y", "ETag", "z")
	target := quickTarget{func(ctx context.Context, r *exchange.Request) *exchange.Response {
		body.Reset("hello")
		response = exchange.Response{Status: 200, Header: reply, Body: body, ContentLength: 5, Close: func() error { return nil }}
		return &response
	}}
	s := newStage(target)
	s.config.Log, s.config.Metrics = quickLog{}, nil
	s.policy.TargetOptions.LogRequestHeaders = []string{"Cache-Control", "Last-Modified", "User-Agent"}
	x := &quickExchange{fakeExchange: newExchange("GET", "/a/path?with=query")}
	came := header("User-Agent", "bench", "Accept", "*/*", "Accept-Encoding", "gzip", "Cookie", "a=b; c=d", "Connection", "keep-alive")
	room := make(exchange.Header, 0, 32)
	b.ReportAllocs()
	for b.Loop() {
		x.request.Header = append(room, came...)
		x.request.Path, x.request.Target = "/a/path", "/a/path?with=query"
		s.Serve(x)
	}
}

type quickTarget struct {
	answer func(context.Context, *exchange.Request) *exchange.Response
}

func (quickTarget) Close() {}
func (q quickTarget) Send(ctx context.Context, r *exchange.Request, _ func(int, exchange.Header) error) (*exchange.Response, error) {
	return q.answer(ctx, r), nil
}

type quickLog struct{}

func (quickLog) Log(*accesslog.Entry) {}

// quickExchange takes a response and forgets it.
type quickExchange struct {
	*fakeExchange
	n int64
}

func (x *quickExchange) Respond(status int, _ exchange.Header, _ int64) error {
	x.status = status
	return nil
}
func (x *quickExchange) Write(p []byte) (int, error) { x.n += int64(len(p)); return len(p), nil }
func (x *quickExchange) Sent() (int, int64)          { return x.status, x.n }
