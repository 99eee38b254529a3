package model_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"kamal-proxy/actors/registry"
	"kamal-proxy/actors/service"
	"kamal-proxy/actors/system"
)

// request is one request, from its question to its goodbye.
type request struct {
	process  *process
	host     string
	path     string
	visitor  string
	leave    context.CancelFunc
	began    time.Time
	holder   string // the service that holds it
	answered bool
	judged   bool
	verdict  service.Verdict
	err      error
	at       int // when it was granted
	cut      int
	stubborn bool // it does not end when it is cut off
	finished bool
	asking   bool // for another target
}

var (
	hosts    = []string{"a.test", "b.test", "x.wild.test", "else.test"}
	named    = []string{"a.test", "b.test", "*.wild.test", ""}
	paths    = []string{"/", "/api", "/apix", "/api/deep"}
	prefixes = []string{"/", "/", "/api"}
	visitors = []string{"", "me", "you"}
)

func (w *world) ask(s step) *request {
	p := w.processes[s.a%len(w.processes)]
	r := w.question(p, hosts[s.b%len(hosts)], paths[s.c%len(paths)], visitors[s.c/4%len(visitors)])
	r.stubborn = s.b%5 == 4
	return r
}

func (w *world) question(p *process, host, path, visitor string) *request {
	ctx, leave := context.WithCancel(context.Background())
	r := &request{process: p, host: host, path: path, visitor: visitor, leave: leave, began: time.Now()}
	w.requests = append(w.requests, r)
	w.asked++
	q := service.NewRoute()
	q.Host, q.Path, q.Method, q.Rollout = host, path, "GET", visitor
	q.Cut = func(error) { w.cut(r) }
	p.registry.Tell(registry.Route{Route: q})
	go func() {
		v, err := q.Await(ctx, func(q *service.Route) { p.registry.Tell(registry.Leave{Route: q}) })
		w.mu.Lock()
		defer w.mu.Unlock()
		w.clock++
		r.answered, r.verdict, r.err, r.at = true, v, err, w.clock
	}()
	return r
}

func (w *world) cut(r *request) {
	w.mu.Lock()
	r.cut++
	w.cuts++
	if !r.stubborn && r.leased() && !r.asking {
		r.finish()
	}
	w.mu.Unlock()
	w.traps.step("cut")
}

func (r *request) leased() bool { return r.answered && r.verdict.Lease != nil && !r.finished }

func (r *request) finish() {
	r.finished = true
	r.verdict.Lease.Finish()
}

// pick returns one of the requests that fit, or nil.
func (w *world) pick(n int, fits func(*request) bool) *request {
	w.mu.Lock()
	defer w.mu.Unlock()
	var some []*request
	for _, r := range w.requests {
		if fits(r) {
			some = append(some, r)
		}
	}
	if len(some) == 0 {
		return nil
	}
	return some[n%len(some)]
}

func (w *world) finish(n int) {
	if r := w.pick(n, (*request).leased); r != nil {
		r.finish()
	}
}

func (w *world) tunnel(n int) {
	if r := w.pick(n, (*request).leased); r != nil {
		r.verdict.Lease.Upgraded()
	}
}

func (w *world) fail(n int) {
	if r := w.pick(n, (*request).leased); r != nil {
		r.verdict.Lease.Failed("reset")
		r.finish()
		w.ill = time.Now()
	}
}

// again asks for another target in the place of one that has not answered.
func (w *world) again(n int, unsent bool) {
	r := w.pick(n, (*request).leased)
	if r == nil {
		return
	}
	w.ill = time.Now()
	q := service.NewRoute()
	q.Host, q.Path, q.Method, q.Rollout = r.host, r.path, "GET", r.visitor
	q.Cut = func(error) { w.cut(r) }
	r.asking = true
	r.verdict.Lease.Again(q, "refused", unsent)
	go func() {
		v, err := q.Await(context.Background(), nil)
		w.mu.Lock()
		defer w.mu.Unlock()
		r.asking = false
		if err != nil || v.Action != service.Forward {
			r.finish()
			return
		}
		w.clock++
		r.verdict, r.at = v, w.clock
		w.retried = append(w.retried, r)
	}()
}

func (w *world) leave(n int) {
	if r := w.pick(n, func(r *request) bool { return !r.answered }); r != nil {
		r.judged = true
		r.leave()
	}
}

// judge looks whether an answer is right: by what is so now, or by what was so
// for a moment in this step, where the request waited.
func (w *world) judge(r *request) {
	v := &r.verdict
	e, name := w.model.owner(r.host, r.path), r.holder
	if name != "" {
		e = w.model[name]
	} else if e != nil {
		name = e.name
	}
	did := func(kind string) bool { return name != "" && w.did[kind+" "+name] }
	switch {
	case r.process.ended.Load():
	case r.err != nil:
		if !errors.Is(r.err, system.ErrCrashed) || !w.panicked() {
			w.fault("%v failed: %v", r, r.err)
		}
	case v.Action == service.Forward && (e != nil && e.state == running && slices.Contains(e.goals(r.visitor), v.TargetName)):
	case v.Action == service.Forward && (did("resume") || did("deploy") || did("rollout") || did("split")) && slices.Contains(w.before[name], v.TargetName):
	case v.Action == service.Forward:
		w.fault("%v goes to %s, want %s", r, v.TargetName, w.wanted(e, r))
	case v.Status == 404 && (e == nil || did("remove")):
	case v.Status == 503 && (did("stop") || e != nil && (e.state == stopped || w.unwell(e) || w.full(e, r))):
	case v.Status == 504 && r.holder != "" && time.Since(r.began) >= time.Second:
	default:
		w.fault("%v is answered %d, want %s", r, v.Status, w.wanted(e, r))
	}
}

func (w *world) wanted(e *entry, r *request) string {
	if e == nil {
		return "404"
	}
	return fmt.Sprintf("%v in state %d", e.goals(r.visitor), e.state)
}

// unwell reports whether a service may be without a healthy target.
func (w *world) unwell(e *entry) bool {
	if len(e.targets) < 2 && len(e.rollout) < 2 {
		return false
	}
	for _, t := range slices.Concat(e.targets, e.rollout) {
		if w.app(t).sick {
			return true
		}
	}
	return time.Since(w.ill) < 10*time.Second
}

// full reports whether as many wait for a service as may.
func (w *world) full(e *entry, asker *request) bool {
	n := 0
	for _, r := range w.requests {
		if r.process != asker.process || r.answered {
			continue
		}
		if owner := w.model.owner(r.host, r.path); r.holder == e.name || r.holder == "" && owner == e {
			n++
		}
	}
	return e.state == paused && n >= maxHeld
}

func (r *request) String() string {
	return fmt.Sprintf("the request for %s%s of %q", r.host, r.path, r.visitor)
}
