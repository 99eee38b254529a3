package model_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing/synctest"
	"time"

	"kamal-proxy/actors/healthcheck"
	"kamal-proxy/actors/registry"
	"kamal-proxy/actors/service"
	"kamal-proxy/actors/spec"
	"kamal-proxy/actors/store"
	"kamal-proxy/actors/system"

	"github.com/rs/zerolog"
)

const maxHeld = 4

// world is what the actors live in, and the model of what they should be.
type world struct {
	at     string // the step under way
	faults []string
	disk   *disk
	traps  *snares

	mu        sync.Mutex // guards all that follows while things happen
	model     model
	processes []*process // the last one takes the orders
	gone      []*process
	orders    []*order
	requests  []*request
	apps      map[string]*app
	ill       time.Time // when something last panicked, or an app's health changed
	last      int       // target

	asked, cuts, held int // requests

	drained map[string]bool // targets whose drain was answered
	retried []*request      // in this step, on another target

	handing *handing
	clock   int                 // of what happens, in its order
	before  map[string][]string // by service: all targets that it had in this step
	did     map[string]bool     // "resume web": what happened in this step
	sprung  int                 // panics before this step
}

func newWorld() *world {
	w := &world{
		disk: newDisk(), traps: &snares{armed: map[string]int{}},
		model: model{}, apps: map[string]*app{}, before: map[string][]string{}, drained: map[string]bool{}, did: map[string]bool{},
	}
	w.processes = []*process{w.process(nil)}
	return w
}

func (w *world) fault(format string, args ...any) {
	w.faults = append(w.faults, w.at+": "+fmt.Sprintf(format, args...))
}

// settle lets everything happen that happens now, and brings the model up to
// it.
func (w *world) settle() { w.pass(0) }

func (w *world) pass(d time.Duration) {
	w.mu.Lock()
	w.mu.Unlock()
	if d > 0 {
		time.Sleep(d)
	}
	synctest.Wait()
	w.learn()
}

func (w *world) panicked() bool { return w.traps.count() > w.sprung }

// newest is the process that takes the orders.
func (w *world) newest() *process { return w.processes[len(w.processes)-1] }

// process is one process's actors.
type process struct {
	w        *world
	system   *system.System
	registry registry.Ref
	before   *process    // nil: it took over from none
	leads    atomic.Bool // it takes the orders
	ended    atomic.Bool
}

func (w *world) process(before *process) *process {
	p := &process{w: w, before: before}
	p.leads.Store(true)
	log := zerolog.New(discard{}).Hook(w.traps)
	p.system, _ = system.New(log)
	config := registry.Config{
		System: p.system, Log: log, MaxHeld: maxHeld, Sites: sites{w.traps},
		Connect: p.connect, Check: p.checker,
		Forgotten: func(string) { w.traps.step("forgotten") },
		Store: func(tell func(store.Saved)) system.Ref[store.Message] {
			return system.Spawn(p.system, "store", 16, store.New(store.Config{Dir: "data", Disk: w.disk, Log: zerolog.Nop(), Tell: func(s store.Saved) {
				w.disk.saved(s.Err)
				tell(s)
			}}))
		},
	}
	if before != nil {
		config.Predecessor = before
	}
	p.registry = registry.Spawn(config)
	return p
}

type discard struct{}

func (discard) Write(p []byte) (int, error) { return len(p), nil }

type sites struct{ traps *snares }

func (s sites) Put(*spec.Record, service.Assets) { s.traps.step("put") }
func (s sites) Remove(string)                    { s.traps.step("take") }

// Follow implements registry.Predecessor.
func (p *process) Follow(f registry.Following, done func()) {
	m := registry.Follow{Reply: system.NewReply[struct{}](), Following: f}
	p.registry.Tell(m)
	go func() {
		if _, err := m.Wait(context.Background(), p.registry.Stopped()); err != nil && !p.ended.Load() {
			p.w.mu.Lock()
			p.w.fault("the process before does not follow: %v", err)
			p.w.mu.Unlock()
		}
		done()
	}()
}

// app is a target.
type app struct {
	w      *world
	sick   bool
	opened int
	closed int
}

func (w *world) app(name string) *app {
	if w.apps[name] == nil {
		w.apps[name] = &app{w: w}
	}
	return w.apps[name]
}

func (p *process) connect(target string, _ spec.TargetOptions) (service.Upstream, error) {
	if p.leads.Load() {
		p.w.traps.step("connect")
	}
	p.w.mu.Lock()
	defer p.w.mu.Unlock()
	a := p.w.app(target)
	a.opened++
	return a, nil
}

func (p *process) checker(target string, _ spec.HealthCheck) healthcheck.Check {
	w := p.w
	if p.leads.Load() {
		w.traps.step("checker")
	}
	return func(context.Context) healthcheck.Result {
		w.traps.step("check")
		w.mu.Lock()
		defer w.mu.Unlock()
		if w.app(target).sick {
			return healthcheck.Result{Kind: healthcheck.Refused}
		}
		return healthcheck.Result{Healthy: true, Kind: healthcheck.Answered, Status: 200}
	}
}

// Close implements service.Upstream.
func (a *app) Close() {
	a.w.mu.Lock()
	a.closed++
	a.w.mu.Unlock()
	a.w.traps.step("close")
}

// change makes an app ill, or well.
func (w *world) change(s step) {
	if w.last == 0 {
		return
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.ill = time.Now()
	w.app(name(1 + s.a%w.last)).sick = s.b%2 == 0
}

func name(target int) string { return fmt.Sprintf("t%d:80", target) }

// lines are what a process lists, as the model does.
func (p *process) lines() string {
	q := registry.List{Reply: system.NewReply[store.Snapshot]()}
	p.registry.Tell(q)
	snapshot, err := q.Wait(context.Background(), p.registry.Stopped())
	if err != nil {
		return err.Error()
	}
	var lines []string
	snapshot.Each(func(r *spec.Record) bool { lines = append(lines, lineOf(r)); return true })
	slices.Sort(lines)
	return strings.Join(lines, "\n")
}

func lineOf(r *spec.Record) string {
	chosen := ""
	if r.Rollout != nil && len(r.Rollout.Allowlist) > 0 {
		chosen = r.Rollout.Allowlist[0]
	}
	return fmt.Sprintf("%s %s %s %v %v %v %d %q %s", r.Name, strings.Join(r.Options.Hosts, ","), r.Options.PathPrefixes[0],
		r.ActiveTargets, r.ActiveReaders, r.RolloutTargets, r.PauseController.State, r.PauseController.StopMessage, chosen)
}

// saved is what a restart would begin with.
func (w *world) saved() string {
	records, err := store.Load("data", w.disk.copy(), zerolog.Nop())
	if err != nil {
		return err.Error()
	}
	var lines []string
	for _, r := range records {
		lines = append(lines, lineOf(r))
	}
	slices.Sort(lines)
	return strings.Join(lines, "\n")
}
