// Package proxy is the story of one request: it asks where the request goes
// and carries the answer out. Serve shows the whole of it; each stage has a
// file of its own.
package proxy

import (
	"context"
	"time"

	"github.com/rs/zerolog"

	"kamal-proxy/actors/service"
	"kamal-proxy/transport/accesslog"
	"kamal-proxy/transport/exchange"
	"kamal-proxy/transport/pages"
	"kamal-proxy/transport/trust"
)

// Config is what a Proxy works with.
type Config struct {
	// Ask tells the registry a request's question, and Leave that its asker
	// has gone.
	Ask   func(*service.Route)
	Leave func(*service.Route)

	// Challenge answers what a certificate authority asks over plain http: ours
	// is false where the path is the app's, body is given with status 200. nil:
	// nobody is asked.
	Challenge func(authority, path string) (body []byte, status int, ours bool)

	// Trusted are who is believed in what they say of the client behind them. nil:
	// all are, where a service wants it (forward-headers).
	Trusted trust.Proxies

	Log     AccessLog
	Metrics Metrics      // nil: none are kept
	Pages   *pages.Pages // where a service has none of its own; nil: the built-in ones
	Logger  zerolog.Logger
}

// AccessLog takes one Entry a request, from many goroutines at once. The Entry
// is the Proxy's again when Log returns.
type AccessLog interface {
	Log(*accesslog.Entry)
}

// Metrics counts the requests of services, from many goroutines at once. Each
// Begin is followed by one End. Retry counts a request that is sent to another
// target.
type Metrics interface {
	Begin(service string)
	Retry(service string)
	End(service, method string, status int, d time.Duration)
}

// Sender is a target that takes requests; the Target of a Verdict is one.
type Sender interface {
	// Send sends a request and returns the head of its response. The request's
	// header is end-to-end, but for TE where trailers are welcome; its Upgrade
	// says whether to ask for another protocol. interim is called, on the
	// caller's goroutine, for each response before the final one (1xx but for
	// 101); its error ends the request. When ctx ends, so does the request:
	// Send, or a read of the response's body, fails.
	Send(ctx context.Context, request *exchange.Request, interim func(status int, header exchange.Header) error) (*exchange.Response, error)
}

// Proxy serves requests.
type Proxy struct {
	config Config
	keys   logKeys

	// The request's side of a question's answer and of a lease. Only a service
	// can make those: tests take its part here.
	await    func(*service.Route, context.Context, func(*service.Route)) (service.Verdict, error)
	finish   func(*service.Lease)
	upgraded func(*service.Lease)
	again    func(l *service.Lease, r *service.Route, why string, unsent bool)
}

// New makes a Proxy.
func New(config Config) *Proxy {
	return &Proxy{
		config:   config,
		await:    (*service.Route).Await,
		finish:   (*service.Lease).Finish,
		upgraded: (*service.Lease).Upgraded,
		again:    (*service.Lease).Again,
	}
}

// Serve answers one request and returns when that is done; the ingress calls
// it on the request's goroutine, and ends the response's body afterwards.
// Whatever happens, even a panic, costs this request only.
func (p *Proxy) Serve(x exchange.Exchange) {
	v := p.receive(x)
	defer v.end()
	defer v.rescue()

	v.scrub()
	v.identify()
	if v.refused() || v.challenged() || !v.ask() {
		return
	}
	switch v.verdict.Action {
	case service.Forward:
		v.strip()
		v.introduce()
		if v.collect() && v.send() && v.hold() {
			v.relay()
		}
	case service.Redirect:
		v.redirect()
	default:
		v.respond()
	}
}
