package registry_test

import (
	"context"
	"fmt"
	"runtime"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rs/zerolog"

	"kamal-proxy/actors/registry"
	"kamal-proxy/actors/service"
	"kamal-proxy/actors/spec"
	"kamal-proxy/actors/store"
	"kamal-proxy/actors/system"
)

// world is the whole actor system on a clock of its own, with apps that are
// scripted, a disk that is played, and requests and orders that keep what they
// were told.
type world struct {
	*testing.T
	system   *system.System
	registry registry.Ref
	disk     *disk
	log      *locked
	sites    *sites
	began    time.Time

	mu        *sync.Mutex
	apps      map[string]*app
	requests  []*request
	answers   []*request // in the order in which they were answered
	orders    []*order
	forgotten []string
	ejected   int
}

const (
	maxHeld     = 5
	maxInFlight = 5000
)

// play runs a test in a world. At the end the world is shut down: whoever
// still waits, and whatever still runs, fails the test.
func play(t *testing.T, test func(w *world)) {
	t.Helper()
	// A Route comes from a pool with its channel, which belongs to the bubble
	// it was made in: two collections empty the pool.
	runtime.GC()
	runtime.GC()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		test(w)
		w.end()
	})
}

func newWorld(t *testing.T) *world { return newSuccessor(t, nil, &sync.Mutex{}) }

// newSuccessor is a world that takes over from another, with the same lock.
func newSuccessor(t *testing.T, p registry.Predecessor, mu *sync.Mutex) *world {
	w := &world{T: t, mu: mu, apps: map[string]*app{}, disk: &disk{}, log: &locked{}, began: time.Now()}
	log := zerolog.New(w.log)
	var err error
	if w.system, err = system.New(log); err != nil {
		t.Fatal(err)
	}
	w.sites = &sites{w: w}
	w.registry = registry.Spawn(registry.Config{
		System: w.system, Log: log, Store: w.disk.spawn(w.system), Sites: w.sites,
		Connect: w.connect, Check: w.check, MaxHeld: maxHeld, MaxInFlight: maxInFlight,
		Predecessor: p,
		Ejected:     func(string) { w.ejected++ },
		Forgotten:   func(name string) { w.forgotten = append(w.forgotten, name) },
	})
	return w
}

// end shuts the world down, and looks for what is left of it.
func (w *world) end() {
	w.Helper()
	w.settle()
	w.disk.held = false
	w.disk.release(nil)
	w.shutdown()
	w.registry.Stop()
	w.settle()
	for _, q := range w.requests {
		if q.leased() {
			q.finish()
		}
		if !q.answered {
			w.Errorf("the request for %s%s was never answered", q.host, q.path)
			q.leave()
		}
	}
	for _, o := range w.orders {
		if !o.answered {
			w.Errorf("the order %s was never answered", o.what)
			o.leave()
		}
	}
	w.settle()
	if n := w.system.Running(); n != 0 {
		w.Errorf("%d actors live on", n)
	}
	for name, app := range w.apps {
		if app.opened != app.closed {
			w.Errorf("the connections to %s were made %d times and closed %d times", name, app.opened, app.closed)
		}
		if app.checking != 0 {
			w.Errorf("%s is still being checked", name)
		}
	}
}

func (w *world) shutdown() {
	w.Helper()
	done := registry.Shutdown{Reply: system.NewReply[struct{}]()}
	w.registry.Tell(done)
	w.settle()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	if _, err := done.Wait(ctx, w.registry.Stopped()); err != nil {
		w.Errorf("the shutdown ended with %v", err)
	}
}

// settle lets everything happen that happens now.
func (w *world) settle() { w.pass(0) }

// pass lets time pass, and everything happen that is due then. What requests
// and orders were told is written under the lock, and read while all is settled.
func (w *world) pass(d time.Duration) {
	w.mu.Lock()
	w.mu.Unlock()
	if d > 0 {
		time.Sleep(d)
	}
	synctest.Wait()
}

// locked is a log that is read while it is written.
type locked struct {
	mu sync.Mutex
	b  strings.Builder
}

func (l *locked) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *locked) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

func (w *world) list() string {
	q := registry.List{Reply: system.NewReply[store.Snapshot]()}
	w.registry.Tell(q)
	snapshot, err := q.Wait(w.Context(), w.registry.Stopped())
	if err != nil {
		w.Fatal(err)
	}
	var rows []string
	snapshot.Each(func(r *spec.Record) bool {
		rows = append(rows, fmt.Sprintf("%s %s %s %s", r.Name, strings.Join(r.Options.Hosts, ","), strings.Join(r.ActiveTargets, ","), r.PauseController.State))
		return true
	})
	return strings.Join(rows, "; ")
}

func (w *world) wantList(want string) {
	w.Helper()
	w.settle()
	if got := w.list(); got != want {
		w.Errorf("the list is %q, want %q", got, want)
	}
}

// restore begins with these records, as after a restart.
func (w *world) restore(records ...*spec.Record) {
	w.Helper()
	m := registry.Restore{Reply: system.NewReply[struct{}]()}
	for _, r := range records {
		m.Services = append(m.Services, service.Restore{Record: r})
	}
	w.registry.Tell(m)
	if _, err := m.Wait(w.Context(), w.registry.Stopped()); err != nil {
		w.Fatal(err)
	}
	w.settle()
}

func record(name string, targets ...string) *spec.Record {
	r := &spec.Record{Name: name, Options: spec.DefaultOptions(), TargetOptions: spec.DefaultTargetOptions(), ActiveTargets: targets}
	r.Options.Hosts = []string{name + ".test"}
	return r
}
