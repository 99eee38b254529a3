package model_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"kamal-proxy/actors/registry"
	"kamal-proxy/actors/service"
	"kamal-proxy/actors/spec"
	"kamal-proxy/actors/system"
)

// order is one order, and what it makes of the model.
type order struct {
	number   int
	kind     string
	name     string
	hosts    []string
	prefix   string
	targets  []string
	apply    func(*entry)
	asker    *service.Asker
	since    int      // panics before it
	moved    int      // processes before it
	old      []string // targets that it ends the use of
	from     float64  // by requests since then
	known    bool     // the service was there when it was given
	answered bool
	judged   bool
	err      error
	applied  bool
	given    float64
	seen     float64 // when its effect was seen; 0: it was not
	done     float64 // when it was answered
}

var names = []string{"web", "api", "shop"}

func (w *world) order(kind, name string, apply func(*entry)) *order {
	o := &order{number: len(w.orders), kind: kind, name: name, apply: apply, since: w.traps.count(), moved: len(w.gone) + len(w.processes)}
	w.mu.Lock()
	w.clock++
	o.known, o.given = w.model[name] != nil, float64(w.clock)
	w.mu.Unlock()
	w.orders = append(w.orders, o)
	o.asker = &service.Asker{Reply: system.NewReply[struct{}](), Notify: func(p service.Progress) {
		w.notify(o, p)
		w.traps.step("notify")
	}}
	to := w.newest()
	go func() {
		_, err := o.asker.Wait(context.Background(), to.registry.Stopped())
		w.mu.Lock()
		defer w.mu.Unlock()
		w.clock++
		o.answered, o.err, o.done = true, err, float64(w.clock)
	}()
	return o
}

// notify notes when an order takes effect.
func (w *world) notify(o *order, p service.Progress) {
	switch {
	case o.seen != 0:
	case p.Stage == service.StageSwitched, o.kind == "remove" && p.Stage != service.StageParked:
		w.mu.Lock()
		defer w.mu.Unlock()
		w.clock++
		o.seen = float64(w.clock)
	}
}

var drains = []time.Duration{0, time.Second, 10 * time.Second, time.Minute}

func (w *world) deploy(s step) {
	name := names[s.a%len(names)]
	var targets []string
	e := w.model[name]
	same := e != nil && s.c%7 == 6 && s.kind == "deploy"
	if same {
		targets = e.targets
	} else {
		for range 1 + s.b%3 {
			w.last++
			targets = append(targets, fmt.Sprintf("t%d:80", w.last))
		}
	}
	readers := 0
	if len(targets) > 1 {
		readers = s.c % 2
	}
	if same {
		readers = e.readers
	}
	prefix := prefixes[s.b/3%len(prefixes)]
	mine := []string{named[s.c%len(named)]}
	if s.b%2 == 1 && mine[0] != "a.test" {
		mine = append(mine, "a.test")
	}
	if s.kind == "deploy" && s.a/4%3 == 0 {
		w.mu.Lock()
		w.app(targets[0]).sick, w.ill = true, time.Now()
		w.mu.Unlock()
	}
	o := w.order(s.kind, name, nil)
	d := &service.Deploy{
		Asker: o.asker, Options: spec.DefaultOptions(), TargetOptions: spec.DefaultTargetOptions(),
		Targets: targets[:len(targets)-readers], Readers: targets[len(targets)-readers:],
		How: spec.Deployment{DeployTimeout: []time.Duration{0, 5 * time.Second, 30 * time.Second}[s.c/4%3], DrainTimeout: drains[s.a/12%4], Force: s.b%11 == 10},
	}
	d.Options.Hosts, d.Options.PathPrefixes = mine, []string{prefix}
	o.targets = targets
	if s.kind == "rollout" {
		d.Slot, d.Readers, d.Targets = service.Rollout, nil, targets
		o.apply = func(e *entry) { o.old, e.rollout = e.rollout, targets }
	} else {
		o.hosts, o.prefix = mine, prefix
		o.apply = func(e *entry) {
			o.old, e.targets, e.readers = e.targets, targets, readers
			e.hosts, e.prefix = mine, prefix
		}
	}
	w.newest().registry.Tell(registry.Order{Service: name, Order: d})
}

func (w *world) split(s step) {
	name, chosen := names[s.a%len(names)], visitors[s.b%len(visitors)]
	o := w.order("split", name, func(e *entry) { e.chosen = chosen })
	m := &service.Split{Asker: o.asker}
	if chosen != "" {
		m.Rollout, _ = spec.NewRollout(0, []string{chosen})
	}
	w.newest().registry.Tell(registry.Order{Service: name, Order: m})
}

func (w *world) turn(s step) {
	name, drain := names[s.a%len(names)], drains[s.b%4]
	o := w.order(s.kind, name, nil)
	var m service.Order
	switch s.kind {
	case "pause":
		most := []int{2, 3600}[s.c%2]
		o.apply = func(e *entry) { o.old, o.from, e.state, e.patience = e.all(), e.since, paused, most }
		m = &service.Pause{Asker: o.asker, DrainTimeout: drain, MaxPause: time.Duration(most) * time.Second}
	case "stop":
		message := fmt.Sprint("stopped ", s.c)
		o.apply = func(e *entry) { o.old, o.from, e.state, e.message = e.all(), e.since, stopped, message }
		m = &service.Stop{Asker: o.asker, DrainTimeout: drain, Message: message}
	default:
		o.apply = func(e *entry) { e.state = running }
		m = &service.Resume{Asker: o.asker}
	}
	w.newest().registry.Tell(registry.Order{Service: name, Order: m})
}

func (e *entry) all() []string { return slices.Concat(e.targets, e.rollout) }

func (w *world) remove(s step) {
	name := names[s.a%len(names)]
	o := w.order("remove", name, nil)
	w.newest().registry.Tell(registry.Remove{Asker: o.asker, Service: name, DrainTimeout: drains[s.b%4]})
}

func (w *world) wait(s step) {
	w.pass([]time.Duration{time.Millisecond, 50 * time.Millisecond, time.Second, 2 * time.Second, 5 * time.Second, 11 * time.Second, 31 * time.Second, 61 * time.Second}[s.a%8])
}

// bomb sends a message whose handling panics.
func (w *world) bomb(s step) {
	w.traps.mu.Lock()
	w.traps.sprung++
	w.traps.mu.Unlock()
	to, name := w.processes[s.a%len(w.processes)].registry, names[s.c%len(names)]
	for range 1 + s.a%4 {
		switch s.b % 6 {
		case 0:
			to.Tell(registry.Route{})
		case 1:
			to.Tell(registry.Order{Service: name})
		case 2:
			to.Tell(registry.Restore{Reply: system.NewReply[struct{}](), Services: []service.Restore{{}}})
		case 3:
			to.Tell(registry.Order{Service: name, Order: (*service.Deploy)(nil)})
		default:
			to.Tell(registry.Order{Service: name, Order: (*service.Stop)(nil)})
		}
	}
}

// excused reports whether an order may have failed so.
func (w *world) excused(o *order) bool {
	var conflict *registry.ConflictError
	var sick *service.DeployError
	text := o.err.Error()
	removed := func(p *order) bool {
		return p.kind == "remove" && p.name == o.name && p != o && (p.done == 0 || p.done > o.given)
	}
	rivals := func(p *order) bool {
		return p.kind == "deploy" && p.name != o.name && p.prefix == o.prefix &&
			slices.ContainsFunc(o.hosts, func(h string) bool { return slices.Contains(p.hosts, h) })
	}
	switch {
	case errors.As(o.err, &conflict):
		return slices.ContainsFunc(w.orders, rivals)
	case errors.As(o.err, &sick):
		return slices.ContainsFunc(o.targets, func(t string) bool { return w.app(t).sick }) || time.Since(w.ill) < time.Minute
	case errors.Is(o.err, registry.ErrNotFound):
		return !o.known || w.model[o.name] == nil || slices.ContainsFunc(w.orders, removed)
	case errors.Is(o.err, service.ErrRemoved):
		return slices.ContainsFunc(w.orders, removed)
	case errors.Is(o.err, service.ErrNoRollout):
		return o.kind == "split"
	case errors.Is(o.err, registry.ErrMoved):
		return len(w.gone)+len(w.processes) > o.moved || w.did["moved"]
	case strings.Contains(text, "could not be saved"):
		return w.disk.broken()
	case errors.Is(o.err, system.ErrCrashed):
		return w.traps.count() > o.since
	}
	return false
}
