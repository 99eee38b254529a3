package model_test

import (
	"cmp"
	"slices"
	"time"
)

// learn brings the model up to what was answered, in the order in which it took
// effect, and judges each answer.
func (w *world) learn() {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.panicked() {
		w.ill = time.Now()
	}
	var news []*order
	for _, o := range w.orders {
		if !o.applied && (o.seen != 0 || o.answered && o.err == nil) {
			o.applied = true
			news = append(news, o)
		}
	}
	date(news)
	slices.SortStableFunc(news, func(a, b *order) int { return cmp.Compare(a.seen, b.seen) })
	for _, o := range news {
		w.apply(o)
	}
	for _, e := range w.model {
		if w.model.taken(e.name, e.hosts, e.prefix) {
			w.fault("%s has hosts that another has", e.name)
		}
	}
	for _, o := range w.orders {
		if o.answered && !o.judged {
			o.judged = true
			w.conclude(o)
		}
	}
	for _, r := range w.retried {
		// It went to a target that serves, or to one that is drained and not done.
		if e := w.model[r.verdict.Service]; w.drained[r.verdict.TargetName] && (e == nil || !slices.Contains(e.all(), r.verdict.TargetName)) {
			w.fault("%v was sent on to %s, whose drain was answered", r, r.verdict.TargetName)
		}
	}
	w.retried = nil
	for _, r := range w.requests {
		if r.answered && !r.judged {
			r.judged = true
			w.judge(r)
		}
	}
}

// date works out when those orders took effect whose callers are told of nothing
// but the end: after the last one of their service, which only deploys overtake.
// A removal comes after all orders before it and before all that follow,
// whenever the services tell of them.
func date(news []*order) {
	last, latest, removed := map[string]float64{}, map[string]float64{}, map[string]float64{}
	for _, o := range news {
		switch {
		case o.kind == "remove":
			o.seen = latest[o.name] + 1e-6
			removed[o.name] = o.seen
		case o.kind == "deploy", o.kind == "rollout":
			if o.seen == 0 {
				o.seen = o.done
			}
			if after := removed[o.name]; o.seen < after {
				o.seen = after + o.seen*1e-9
			}
			latest[o.name] = max(latest[o.name], o.seen)
			continue
		case o.seen == 0:
			o.seen = last[o.name] + 1e-6
		}
		o.seen = max(o.seen, last[o.name])
		last[o.name] = o.seen
		latest[o.name] = max(latest[o.name], o.seen)
	}
}

func (w *world) apply(o *order) {
	e := w.model[o.name]
	w.did[o.kind+" "+o.name] = true
	if e != nil {
		w.before[o.name] = append(w.before[o.name], e.all()...)
	}
	switch {
	case o.kind == "remove":
		if e != nil {
			o.old = e.all()
		}
		delete(w.model, o.name)
		return
	case e == nil && o.kind != "deploy":
		w.fault("the %s of %s took effect, and there is no such service", o.kind, o.name)
		return
	case e == nil:
		e = &entry{name: o.name, born: o.seen}
		w.model[o.name] = e
	}
	o.apply(e)
	if o.kind == "deploy" || o.kind == "rollout" {
		o.from, e.since = e.born, o.seen
		for _, t := range o.targets {
			delete(w.drained, t)
		}
	}
	w.before[o.name] = append(w.before[o.name], e.all()...)
}

// conclude judges the answer of an order.
func (w *world) conclude(o *order) {
	if o.err != nil {
		if o.applied {
			w.fault("the %s of %s took effect, and failed: %v", o.kind, o.name, o.err)
		} else if !w.excused(o) {
			w.fault("the %s of %s failed: %v", o.kind, o.name, o.err)
		}
		return
	}
	if o.kind == "split" || o.kind == "resume" {
		return
	}
	if o.kind == "deploy" || o.kind == "rollout" {
		for _, t := range o.old {
			w.drained[t] = true
		}
	}
	// Nothing is left of what it ended.
	for _, r := range w.requests {
		target := r.verdict.TargetName
		if !r.leased() || r.cut > 0 || float64(r.at) > o.seen || !slices.Contains(o.old, target) || slices.Contains(o.targets, target) {
			continue
		}
		if float64(r.at) < o.from || (o.kind == "pause" || o.kind == "stop") && w.resumed(o) {
			continue // it is another order's to wait for
		}
		w.fault("the %s of %s is done, and %v is still on %s", o.kind, o.name, r, target)
	}
}

func (w *world) resumed(o *order) bool {
	return slices.ContainsFunc(w.orders, func(p *order) bool {
		return p.name == o.name && p.kind == "resume" && p.applied && p.number > o.number
	})
}

// check compares each process with the model, asks for each host and path, and
// looks after those that wait.
func (w *world) check() {
	w.sprung = w.traps.count()
	clear(w.did)
	clear(w.before)
	for i, p := range w.processes {
		if got, want := p.lines(), w.model.lines(); got != want {
			w.fault("process %d of %d lists\n%s\nwant\n%s", i+1, len(w.processes), got, want)
		}
		w.probe(p)
	}
	if got := w.saved(); w.disk.quiet() && got != w.model.lines() {
		w.fault("on disk is\n%s\nwant\n%s", got, w.model.lines())
	}
	for _, r := range w.requests {
		if r.answered || r.judged {
			continue
		}
		if r.holder == "" {
			if e := w.model.owner(r.host, r.path); e != nil {
				r.holder = e.name
				w.held++
			}
		}
		if e := w.model[r.holder]; e == nil || e.state != paused {
			w.fault("%v waits, and nothing holds it", r)
		}
	}
	w.forget()
}

// probe asks a process for each host and path.
func (w *world) probe(p *process) {
	var probes []*request
	for _, host := range hosts {
		for i, path := range paths {
			probes = append(probes, w.question(p, host, path, visitors[i%len(visitors)]))
		}
	}
	w.settle()
	for _, r := range probes {
		switch {
		case r.leased():
			r.finish()
		case !r.answered:
			if e := w.model.owner(r.host, r.path); e == nil || e.state != paused {
				w.fault("%v waits, and nothing holds it", r)
			}
			r.judged = true
			r.leave()
		}
	}
	w.settle()
}

// forget lets go of the requests that are over.
func (w *world) forget() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.requests = slices.DeleteFunc(w.requests, func(r *request) bool { return r.answered && !r.leased() })
}

// end lets everything come to its end, and looks for what is left.
func (w *world) end() {
	w.at = "the end, after " + w.at
	w.disk.heal()
	w.traps.clear()
	w.takeBack()
	w.settle()
	w.finishAll()
	w.mu.Lock()
	for _, a := range w.apps {
		a.sick = false
	}
	w.mu.Unlock()
	w.pass(62 * time.Second)
	for _, o := range w.orders {
		if !o.answered {
			w.fault("the %s of %s was never answered", o.kind, o.name)
		}
	}
	for name := range w.model { // counts are zero: a drain has nothing to wait for
		w.turn(step{kind: "pause", a: slices.Index(names, name), b: 3, c: 1})
		w.settle()
		if o := w.orders[len(w.orders)-1]; !o.answered {
			w.fault("a pause of %s waits for requests that are over", name)
		}
		w.turn(step{kind: "resume", a: slices.Index(names, name)})
		w.settle()
	}
	w.finishAll()
	w.check()
	for len(w.processes) > 0 {
		w.endProcess(w.processes[0])
	}
	for _, r := range w.requests {
		r.leave()
		if r.leased() {
			r.finish()
		}
	}
	w.settle()
	for i, p := range w.gone {
		if n := p.system.Running(); n != 0 {
			w.fault("%d actors of process %d live on", n, i+1)
		}
	}
	for name, a := range w.apps {
		if a.opened != a.closed {
			w.fault("the connections to %s were made %d times and closed %d times", name, a.opened, a.closed)
		}
	}
}

func (w *world) finishAll() {
	for w.pick(0, (*request).leased) != nil {
		w.finish(0)
		w.settle()
	}
}

// tell counts what came up.
func (w *world) tell(seen map[string]int) {
	seen["rounds"]++
	seen["panics"] += w.traps.count()
	seen["hand-overs"] += len(w.gone) - 1
	if w.disk.broken() {
		seen["broken disks"]++
	}
	for _, o := range w.orders {
		if o.err == nil {
			seen[o.kind+" done"]++
		} else {
			seen[o.kind+" failed"]++
		}
	}
	seen["requests"] += w.asked
	seen["requests cut off"] += w.cuts
	seen["requests held"] += w.held
}
