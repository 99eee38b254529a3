package proxy

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"

	"kamal-proxy/actors/service"
	"kamal-proxy/actors/spec"
	"kamal-proxy/transport/exchange"
)

// maxAppAnswer is how much of an app's answer is read, in bytes.
const maxAppAnswer = 256

var errNotAsked = errors.New("the app was not asked")

// AskApp asks the app of a service, by name, for a target in origin-form
// ("/allowed?host=a.example"), in the name of host and as over https. It
// returns the status and the first 256 bytes of the body. The app is asked like
// for any request of a client: it is an error if the service is stopped, if it
// is paused until ctx ends, if another one has host and path, or if no answer
// comes. Nothing of it is in the access log.
func (p *Proxy) AskApp(ctx context.Context, name, host, target string) (status int, body []byte, err error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	request := appRequest(host, target)
	route := service.NewRoute()
	facts := service.Facts{Host: spec.RequestHost(host), Path: request.Path, Method: request.Method, TLS: true}
	route.Facts, route.Cut = facts, cancel
	p.config.Ask(route)
	verdict, err := p.await(route, ctx, p.config.Leave)
	if err != nil {
		return 0, nil, fmt.Errorf("%s did not let a request to %s for %s through: %w", name, target, host, err)
	}
	defer func() {
		if verdict.Lease != nil {
			p.finish(verdict.Lease)
		}
	}()
	if err := mayAsk(&verdict, name); err != nil {
		return 0, nil, fmt.Errorf("%w: %s for %s %w", errNotAsked, target, host, err)
	}
	strip(request, verdict.Prefix)
	for {
		status, body, err = askTarget(ctx, verdict.Target, request)
		next, ok := p.elsewhere(ctx, verdict.Lease, &facts, cancel, err)
		if !ok {
			return status, body, err
		}
		verdict = next
	}
}

// appRequest is the request that an app is asked with. It says that it came
// over https, which is what it is about: an app that insists on that would
// redirect it otherwise.
func appRequest(host, target string) *exchange.Request {
	path, query, hasQuery := strings.Cut(target, "?")
	return &exchange.Request{
		Method: http.MethodGet, Target: target, Path: path, Query: query, HasQuery: hasQuery,
		Authority: host, Scheme: "https", Proto: "HTTP/1.1",
		Header: exchange.Header{
			{Name: "User-Agent", Value: "kamal-proxy"},
			{Name: fieldForwardedHost, Value: host},
			{Name: fieldForwardedProto, Value: "https"},
		},
		Body: http.NoBody,
	}
}

// mayAsk tells why the verdict does not lead to the app, in words that follow
// the path and the host.
func mayAsk(verdict *service.Verdict, name string) error {
	switch {
	case verdict.Service == "":
		return errors.New("belongs to no service")
	case verdict.Service != name:
		return fmt.Errorf("belongs to %s, and not to %s", verdict.Service, name)
	case verdict.Action == service.Redirect:
		return fmt.Errorf("is redirected by %s", name)
	case verdict.Action != service.Forward:
		return fmt.Errorf("is answered by the proxy itself, with %d: %s takes no requests now", verdict.Status, name)
	}
	return nil
}

func askTarget(ctx context.Context, to service.Upstream, request *exchange.Request) (int, []byte, error) {
	target, ok := to.(Sender)
	if !ok {
		return 0, nil, errNotSender
	}
	response, err := target.Send(ctx, request, nil)
	if err != nil {
		return 0, nil, err
	}
	defer response.Close()
	body, _ := io.ReadAll(io.LimitReader(response.Body, maxAppAnswer)) // the status is the answer
	return response.Status, body, nil
}
