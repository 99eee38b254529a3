package registry_test

import (
	"context"
	"errors"
	"fmt"
	"math"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rs/zerolog"

	"kamal-proxy/actors/healthcheck"
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
	began    time.Time

	mu        sync.Mutex
	apps      map[string]*app
	requests  []*request
	answers   []*request // in the order in which they were answered
	orders    []*order
	forgotten []string
}

const maxHeld = 5

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

func newWorld(t *testing.T) *world {
	w := &world{T: t, apps: map[string]*app{}, disk: &disk{}, log: &locked{}, began: time.Now()}
	log := zerolog.New(w.log)
	var err error
	if w.system, err = system.New(log); err != nil {
		t.Fatal(err)
	}
	w.registry = registry.Spawn(registry.Config{
		System: w.system, Log: log, Store: w.disk.spawn(w.system),
		Connect: w.connect, Check: w.check, MaxHeld: maxHeld,
		Forgotten: func(name string) { w.forgotten = append(w.forgotten, name) },
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
	inFlight int
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

// order is one order, with all that its caller was told.
type order struct {
	w        *world
	what     string
	leave    context.CancelFunc
	mu       sync.Mutex
	progress []service.Progress
	answered bool
	err      error
	took     time.Duration
}

func (w *world) asker(what string) (*order, *service.Asker) {
	ctx, leave := context.WithCancel(context.Background())
	o := &order{w: w, what: what, leave: leave}
	w.orders = append(w.orders, o)
	a := &service.Asker{Reply: system.NewReply[struct{}](), Notify: func(p service.Progress) {
		o.mu.Lock()
		defer o.mu.Unlock()
		o.progress = append(o.progress, p)
	}}
	began := time.Now()
	go func() {
		_, err := a.Wait(ctx, w.registry.Stopped())
		w.mu.Lock()
		defer w.mu.Unlock()
		o.answered, o.err, o.took = true, err, time.Since(began)
	}()
	return o, a
}

func (w *world) give(name string, make func(*service.Asker) service.Order) *order {
	o, asker := w.asker("")
	given := make(asker)
	o.what = fmt.Sprintf("%T of %s", given, name)
	w.registry.Tell(registry.Order{Service: name, Order: given})
	w.settle()
	return o
}

type how func(*service.Deploy)

func to(targets ...string) how          { return func(d *service.Deploy) { d.Targets = targets } }
func readers(targets ...string) how     { return func(d *service.Deploy) { d.Readers = targets } }
func hosts(hosts ...string) how         { return func(d *service.Deploy) { d.Options.Hosts = hosts } }
func at(prefixes ...string) how         { return func(d *service.Deploy) { d.Options.PathPrefixes = prefixes } }
func within(t time.Duration) how        { return func(d *service.Deploy) { d.How.DeployTimeout = t } }
func draining(t time.Duration) how      { return func(d *service.Deploy) { d.How.DrainTimeout = t } }
func force(d *service.Deploy)           { d.How.Force = true }
func toRollout(d *service.Deploy)       { d.Slot = service.Rollout }
func withTLS(d *service.Deploy)         { d.Options.TLSEnabled = true }
func canonical(host string) how         { return func(d *service.Deploy) { d.Options.CanonicalHost = host } }
func options(f func(*spec.Options)) how { return func(d *service.Deploy) { f(&d.Options) } }

// deploy orders a deploy of a service at <name>.test to <name>:80, unless it is
// told otherwise, and returns once everything is settled.
func (w *world) deploy(name string, hows ...how) *order {
	return w.give(name, func(a *service.Asker) service.Order {
		d := &service.Deploy{
			Asker: a, Options: spec.DefaultOptions(), TargetOptions: spec.DefaultTargetOptions(),
			Targets: []string{name + ":80"},
			How:     spec.Deployment{DeployTimeout: spec.DefaultDeployTimeout, DrainTimeout: spec.DefaultDrainTimeout},
		}
		d.Options.Hosts = []string{name + ".test"}
		for _, h := range hows {
			h(d)
		}
		return d
	})
}

// deployed is deploy for those that are to be done at once.
func (w *world) deployed(name string, hows ...how) {
	w.Helper()
	w.deploy(name, hows...).wantOK()
}

func (w *world) pause(name string, drain, max time.Duration) *order {
	return w.give(name, func(a *service.Asker) service.Order {
		return &service.Pause{Asker: a, DrainTimeout: drain, MaxPause: max}
	})
}

func (w *world) stop(name, message string) *order {
	return w.give(name, func(a *service.Asker) service.Order {
		return &service.Stop{Asker: a, DrainTimeout: spec.DefaultDrainTimeout, Message: message}
	})
}

func (w *world) resume(name string) *order {
	return w.give(name, func(a *service.Asker) service.Order { return &service.Resume{Asker: a} })
}

func (w *world) split(name string, percent int, list ...string) *order {
	return w.give(name, func(a *service.Asker) service.Order {
		rollout, err := spec.NewRollout(percent, list)
		if err != nil {
			w.Fatal(err)
		}
		return &service.Split{Asker: a, Rollout: rollout}
	})
}

func (w *world) remove(name string, drain time.Duration) *order {
	o, asker := w.asker("remove of " + name)
	w.registry.Tell(registry.Remove{Asker: asker, Service: name, DrainTimeout: drain})
	w.settle()
	return o
}

func (o *order) wantWaiting() *order {
	o.w.Helper()
	if o.answered {
		o.w.Errorf("%s was answered %v, want it to wait", o.what, o.err)
	}
	return o
}

func (o *order) wantOK() *order {
	o.w.Helper()
	if !o.answered || o.err != nil {
		o.w.Errorf("%s: answered %v, %v, want success", o.what, o.answered, o.err)
	}
	return o
}

// wantError wants an error with each of these texts in it.
func (o *order) wantError(texts ...string) *order {
	o.w.Helper()
	if !o.answered || o.err == nil {
		o.w.Errorf("%s: answered %v, %v, want an error with %q", o.what, o.answered, o.err, texts)
		return o
	}
	for _, text := range texts {
		if !strings.Contains(o.err.Error(), text) {
			o.w.Errorf("%s failed with %q, want %q in it", o.what, o.err, text)
		}
	}
	return o
}

func (o *order) wantErr(want error) *order {
	o.w.Helper()
	if !o.answered || !errors.Is(o.err, want) {
		o.w.Errorf("%s: answered %v, %v, want %v", o.what, o.answered, o.err, want)
	}
	return o
}

// stages are the steps that the caller was told, equal ones in a row once.
func (o *order) stages() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	var stages []string
	for _, p := range o.progress {
		if n := len(stages); n == 0 || stages[n-1] != string(p.Stage) {
			stages = append(stages, string(p.Stage))
		}
	}
	return strings.Join(stages, " ")
}

func (o *order) wantStages(want string) *order {
	o.w.Helper()
	if got := o.stages(); got != want {
		o.w.Errorf("%s went through %q, want %q", o.what, got, want)
	}
	return o
}

// restart is another world that begins with what is on this one's disk.
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

// wantAnswers wants these requests to have been answered last, in this order.
func (w *world) wantAnswers(want ...*request) {
	w.Helper()
	got := w.answers[max(0, len(w.answers)-len(want)):]
	if !slices.Equal(got, want) {
		w.Errorf("the requests were answered in another order than they came in")
	}
}

var healthcheckFailed = healthcheck.Result{Kind: healthcheck.Failed, Detail: "EOF"}

var rolloutAll = spec.Rollout{Percentage: 100, PercentageSplitPoint: math.MaxUint32}
