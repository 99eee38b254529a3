// Package probe makes the call of a health check: one GET, over the same code
// that carries requests to a target.
package probe

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"syscall"
	"time"

	"kamal-proxy/actors/healthcheck"
	"kamal-proxy/actors/spec"
	"kamal-proxy/transport/exchange"
	"kamal-proxy/transport/upstream"
)

// UserAgent is what health checks call themselves. It is interface: apps tell
// checks from visitors by it.
const UserAgent = "kamal-proxy"

// maxRedirects is how often a check is sent on within its target.
const maxRedirects = 5

// probe is a target's check: what is asked, and where.
type probe struct {
	address   string // to dial
	authority string // the Host header
	path      string // with its query, as given
}

// New makes the check of a target. 2xx is healthy; a redirect is followed only
// to the same target over http. It asks nobody but the target: no proxy of the
// environment is used.
func New(target string, check spec.HealthCheck) healthcheck.Check {
	p := probe{authority: target, path: spec.WirePath(check.Path)}
	address, err := spec.ParseTarget(target)
	if err != nil {
		return func(context.Context) healthcheck.Result {
			return healthcheck.Result{Kind: healthcheck.Failed, Detail: err.Error()}
		}
	}
	p.address = address
	if check.Port != 0 {
		host, _, _ := net.SplitHostPort(address)
		p.address = net.JoinHostPort(host, strconv.Itoa(check.Port))
		p.authority = p.address
	}
	if check.Host != "" {
		p.authority = check.Host
	}
	return p.check
}

func (p probe) check(ctx context.Context) healthcheck.Result {
	began := time.Now()
	target := upstream.New(upstream.Options{Address: p.address})
	defer target.Close()
	path := p.path
	for range maxRedirects {
		status, location, err := p.get(ctx, target, path)
		if err != nil {
			return failure(ctx, err, time.Since(began))
		}
		if next, ok := p.follow(status, location); ok {
			path = next
			continue
		}
		return answer(status, location)
	}
	return healthcheck.Result{Kind: healthcheck.Failed, Detail: "it redirects in a circle, to " + path}
}

func (p probe) get(ctx context.Context, target *upstream.Target, path string) (status int, location string, err error) {
	request := &exchange.Request{
		Method: "GET", Target: path, Authority: p.authority,
		Scheme: "http", Proto: "HTTP/1.1",
		Header:  exchange.Header{{Name: "User-Agent", Value: UserAgent}, {Name: "Connection", Value: "close"}},
		Body:    http.NoBody,
		Trailer: func() exchange.Header { return nil },
	}
	response, err := target.Send(ctx, request, func(int, exchange.Header) error { return nil })
	if err != nil {
		return 0, "", err
	}
	location = strings.Clone(response.Header.Get("Location"))
	status = response.Status
	io.CopyN(io.Discard, response.Body, 4<<10) // a small page is read, so that the app sees no reset
	return status, location, response.Close()
}

// follow returns the path of a redirect that stays with the target.
func (p probe) follow(status int, location string) (path string, ok bool) {
	if status < 300 || status > 399 || location == "" {
		return "", false
	}
	to, err := url.Parse(location)
	if err != nil || to.Scheme != "" && to.Scheme != "http" {
		return "", false
	}
	if to.Host != "" && to.Host != p.authority && to.Host != p.address {
		return "", false
	}
	if !strings.HasPrefix(to.Path, "/") {
		return "", false
	}
	return to.RequestURI(), true
}

func answer(status int, location string) healthcheck.Result {
	return healthcheck.Result{
		Healthy:  status >= 200 && status <= 299,
		Kind:     healthcheck.Answered,
		Status:   status,
		Location: location,
		Detail:   http.StatusText(status),
	}
}

func failure(ctx context.Context, err error, took time.Duration) healthcheck.Result {
	r := healthcheck.Result{Kind: healthcheck.Failed, Detail: err.Error(), Took: took}
	var name *net.DNSError
	switch {
	case errors.Is(err, syscall.ECONNREFUSED):
		r.Kind = healthcheck.Refused
	case errors.As(err, &name) && name.IsNotFound:
		r.Kind = healthcheck.NoSuchHost
	case ctx.Err() != nil, errors.Is(err, context.DeadlineExceeded):
		r.Kind = healthcheck.TimedOut
	}
	return r
}
