package registry_test

import (
	"context"
	"math"
	"sync"
	"time"

	"kamal-proxy/actors/healthcheck"
	"kamal-proxy/actors/service"
	"kamal-proxy/actors/spec"
	"kamal-proxy/actors/store"
	"kamal-proxy/actors/system"
)

// app is a target. Its fields are changed while the world is settled.
type app struct {
	mu       sync.Mutex
	result   healthcheck.Result
	takes    time.Duration // to answer a check
	refuse   error         // of Connect
	breaks   bool          // Connect, Check and Close panic
	checks   int
	checking int
	opened   int
	closed   int
}

var (
	ok      = healthcheck.Result{Healthy: true, Kind: healthcheck.Answered, Status: 200, Detail: "OK"}
	refused = healthcheck.Result{Kind: healthcheck.Refused}
)

// app returns the target of that name, which is healthy at first.
func (w *world) app(name string) *app {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.apps[name] == nil {
		w.apps[name] = &app{result: ok}
	}
	return w.apps[name]
}

func (a *app) set(r healthcheck.Result) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.result = r
}

func (a *app) times() int {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.checks
}

// Close implements service.Upstream.
func (a *app) Close() {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.closed++
	if a.breaks {
		panic("the connections do not close")
	}
}

func (w *world) connect(target string, _ spec.TargetOptions) (service.Upstream, error) {
	a := w.app(target)
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.refuse != nil {
		return nil, a.refuse
	}
	if a.breaks {
		panic("no connection can be made")
	}
	a.opened++
	return a, nil
}

func (w *world) check(target string, h spec.HealthCheck) healthcheck.Check {
	a := w.app(target)
	return func(ctx context.Context) healthcheck.Result {
		a.mu.Lock()
		a.checks++
		a.checking++
		takes := a.takes
		a.mu.Unlock()
		defer func() {
			a.mu.Lock()
			a.checking--
			a.mu.Unlock()
		}()
		select {
		case <-time.After(takes):
		case <-ctx.Done():
			return healthcheck.Result{Kind: healthcheck.TimedOut}
		}
		a.mu.Lock()
		defer a.mu.Unlock()
		return a.result
	}
}

// disk plays the store.
type disk struct {
	tell    func(store.Saved)
	held    bool  // saves wait for release
	err     error // of saves that are not held
	writing *store.Save
	next    *store.Save
	content store.Snapshot
	saves   int
}

func (d *disk) spawn(s *system.System) func(func(store.Saved)) system.Ref[store.Message] {
	return func(tell func(store.Saved)) system.Ref[store.Message] {
		d.tell = tell
		return system.Spawn(s, "store", 16, func(system.Ref[store.Message]) system.Receiver[store.Message] { return d })
	}
}

// Receive implements system.Receiver.
func (d *disk) Receive(m store.Message) {
	save := m.(store.Save)
	d.saves++
	if d.writing != nil {
		d.next = &save
		return
	}
	d.writing = &save
	if !d.held {
		d.release(d.err)
	}
}

// release ends the save under way, and what came meanwhile begins.
func (d *disk) release(err error) {
	for d.writing != nil {
		s := d.writing
		if err == nil {
			d.content = s.Records
		}
		d.writing, d.next = d.next, nil
		d.tell(store.Saved{Sequence: s.Sequence, Err: err})
		if d.held {
			return
		}
	}
}

// records returns what is on the disk, by name.
func (d *disk) records() map[string]*spec.Record {
	records := map[string]*spec.Record{}
	if d.content != nil {
		d.content.Each(func(r *spec.Record) bool { records[r.Name] = r; return true })
	}
	return records
}

var healthcheckFailed = healthcheck.Result{Kind: healthcheck.Failed, Detail: "EOF"}

var rolloutAll = spec.Rollout{Percentage: 100, PercentageSplitPoint: math.MaxUint32}
