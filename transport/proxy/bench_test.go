package proxy

import (
	"context"
	"io"
	"strings"
	"testing"

	"kamal-proxy/transport/accesslog"
	"kamal-proxy/transport/exchange"
)

// BenchmarkServe is the proxy's own share of a small request: everything but
// sockets, actors and the log.
func BenchmarkServe(b *testing.B) {
	b.Run("direct", func(b *testing.B) { benchmarkServe(b, "GET", false) })
	b.Run("buffered", func(b *testing.B) { benchmarkServe(b, "GET", true) })
	b.Run("direct post", func(b *testing.B) { benchmarkServe(b, "POST", false) })
	b.Run("buffered post", func(b *testing.B) { benchmarkServe(b, "POST", true) })
}

func benchmarkServe(b *testing.B, method string, buffered bool) {
	body, upload := strings.NewReader(""), strings.NewReader("")
	var response exchange.Response
	reply := header("Content-Type", "text/plain", "Content-Length", "5", "Date", "x", "Server", "y", "ETag", "z")
	target := quickTarget{func(ctx context.Context, r *exchange.Request) *exchange.Response {
		io.Copy(io.Discard, r.Body)
		body.Reset("hello")
		response = exchange.Response{Status: 200, Header: reply, Body: body, ContentLength: 5, Close: func() error { return nil }}
		return &response
	}}
	s := newStage(target)
	s.config.Log, s.config.Metrics = quickLog{}, nil
	s.policy.TargetOptions.LogRequestHeaders = []string{"Cache-Control", "Last-Modified", "User-Agent"}
	s.policy.TargetOptions.BufferRequests, s.policy.TargetOptions.BufferResponses = buffered, buffered
	s.policy.TargetOptions.MaxMemoryBufferSize = 1 << 20
	x := &quickExchange{fakeExchange: newExchange(method, "/a/path?with=query")}
	came := header("User-Agent", "bench", "Accept", "*/*", "Accept-Encoding", "gzip", "Cookie", "a=b; c=d", "Connection", "keep-alive")
	room := make(exchange.Header, 0, 32)
	b.ReportAllocs()
	for b.Loop() {
		x.request.Header = append(room, came...)
		x.request.Path, x.request.Target = "/a/path", "/a/path?with=query"
		x.request.Body = upload
		if method == "POST" {
			upload.Reset("a=b&c=d")
			x.request.ContentLength = 7
		}
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
