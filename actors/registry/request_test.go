package registry_test

import (
	"context"
	"errors"
	"fmt"
	"time"

	"kamal-proxy/actors/registry"
	"kamal-proxy/actors/service"
)

// request is one request, from its question to its goodbye.
type request struct {
	w        *world
	host     string
	path     string
	leave    context.CancelFunc
	answered bool
	verdict  service.Verdict
	err      error
	cut      []error
	stubborn bool // it does not end when it is cut off
	finished bool
	at       time.Duration
}

type fact func(*service.Route)

func method(m string) fact     { return func(r *service.Route) { r.Method = m } }
func writer(c string) fact     { return func(r *service.Route) { r.Writer = c } }
func visitor(c string) fact    { return func(r *service.Route) { r.Rollout = c } }
func overTLS(r *service.Route) { r.TLS = true }
func upgrade(r *service.Route) { r.Upgrade = true }

// ask asks where a request goes, and returns once everything is settled.
func (w *world) ask(host, path string, facts ...fact) *request {
	q := w.start(host, path, facts...)
	w.settle()
	return q
}

func (w *world) start(host, path string, facts ...fact) *request {
	ctx, leave := context.WithCancel(context.Background())
	q := &request{w: w, host: host, path: path, leave: leave}
	w.requests = append(w.requests, q)
	r := service.NewRoute()
	r.Host, r.Path, r.Method = host, path, "GET"
	r.Cut = q.cutOff
	for _, f := range facts {
		f(r)
	}
	w.registry.Tell(registry.Route{Route: r})
	go q.await(ctx, r)
	return q
}

func (q *request) await(ctx context.Context, r *service.Route) {
	v, err := r.Await(ctx, func(r *service.Route) { q.w.registry.Tell(registry.Leave{Route: r}) })
	q.w.mu.Lock()
	defer q.w.mu.Unlock()
	q.answered, q.verdict, q.err, q.at = true, v, err, time.Since(q.w.began)
	q.w.answers = append(q.w.answers, q)
}

// cutOff is called by the service: the request ends and says goodbye.
func (q *request) cutOff(why error) {
	q.w.mu.Lock()
	defer q.w.mu.Unlock()
	q.cut = append(q.cut, why)
	if !q.stubborn {
		q.finish()
	}
}

func (q *request) leased() bool { return q.verdict.Lease != nil && !q.finished }

func (q *request) finish() {
	q.finished = true
	q.verdict.Lease.Finish()
}

// done ends a request that is under way.
func (q *request) done() {
	q.w.Helper()
	if !q.leased() {
		q.w.Fatalf("the request for %s%s is not under way", q.host, q.path)
	}
	q.finish()
	q.w.settle()
}

// upgraded says that the request has become a tunnel.
func (q *request) upgraded() *request {
	q.verdict.Lease.Upgraded()
	q.w.settle()
	return q
}

func (q *request) wantTarget(target string) *request {
	q.w.Helper()
	if !q.answered || q.err != nil || q.verdict.Action != service.Forward || q.verdict.TargetName != target {
		q.w.Errorf("the request for %s%s %s, want it to go to %s", q.host, q.path, q, target)
	}
	return q
}

func (q *request) wantStatus(status int) *request {
	q.w.Helper()
	if !q.answered || q.err != nil || q.verdict.Action != service.Respond || q.verdict.Status != status {
		q.w.Errorf("the request for %s%s %s, want %d", q.host, q.path, q, status)
	}
	return q
}

func (q *request) wantWaiting() *request {
	q.w.Helper()
	if q.answered {
		q.w.Errorf("the request for %s%s %s, want it to wait", q.host, q.path, q)
	}
	return q
}

func (q *request) wantCut(why error) {
	q.w.Helper()
	if len(q.cut) != 1 || !errors.Is(q.cut[0], why) {
		q.w.Errorf("the request for %s%s was cut off with %v, want once with %v", q.host, q.path, q.cut, why)
	}
}

func (q *request) wantUncut() {
	q.w.Helper()
	if len(q.cut) != 0 {
		q.w.Errorf("the request for %s%s was cut off with %v", q.host, q.path, q.cut)
	}
}

// String says what became of the request so far.
func (q *request) String() string {
	switch {
	case !q.answered:
		return "waits"
	case q.err != nil:
		return "failed: " + q.err.Error()
	case q.verdict.Action == service.Forward:
		return "goes to " + q.verdict.TargetName
	case q.verdict.Action == service.Redirect:
		return "is redirected to " + q.verdict.Scheme + "://" + q.verdict.Host
	default:
		return fmt.Sprintf("is answered %d", q.verdict.Status)
	}
}
