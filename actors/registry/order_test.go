package registry_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"kamal-proxy/actors/registry"
	"kamal-proxy/actors/service"
	"kamal-proxy/actors/spec"
	"kamal-proxy/actors/system"
)

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
