package registry_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"kamal-proxy/actors/registry"
	"kamal-proxy/actors/service"
	"kamal-proxy/actors/system"
)

func TestQuiesceAnswersWhatWaits(t *testing.T) {
	play(t, func(w *world) {
		w.deployed("web")
		w.deployed("other")
		w.pause("web", 0, time.Minute).wantOK()
		held, under := w.ask("web.test", "/").wantWaiting(), w.ask("other.test", "/")
		w.registry.Tell(registry.Quiesce{})
		w.settle()
		held.wantStatus(503)
		if held.verdict.RetryAfter <= 0 {
			t.Error("it is not told when to come again")
		}
		w.ask("web.test", "/").wantStatus(503)
		w.ask("other.test", "/").wantTarget("other:80").done() // listeners still drain
		under.wantUncut()
		under.done()
	})
}

func TestQuiesceEndsTunnels(t *testing.T) {
	play(t, func(w *world) {
		w.deployed("web")
		tunnel, late := w.ask("web.test", "/ws", upgrade).upgraded(), w.ask("web.test", "/ws", upgrade)
		w.registry.Tell(registry.Quiesce{})
		w.settle()
		tunnel.wantCut(service.ErrReplaced)
		late.wantUncut()
		late.upgraded().wantCut(service.ErrReplaced)
	})
}

// When the time to end is up, whoever still waits is told so.
func TestSeverCutsOffWhatRuns(t *testing.T) {
	play(t, func(w *world) {
		w.deployed("web", to("v1:80"))
		old := w.ask("web.test", "/")
		drains := w.deploy("web", to("v2:80")).wantWaiting()
		under := w.ask("web.test", "/")
		w.registry.Tell(registry.Quiesce{})
		w.settle()
		old.wantUncut()
		under.wantUncut()
		w.registry.Tell(registry.Sever{})
		w.settle()
		old.wantCut(service.ErrEnding)
		under.wantCut(service.ErrEnding)
		drains.wantOK()
	})
}

func TestShutdownAnswersEverybody(t *testing.T) {
	play(t, func(w *world) {
		w.deployed("web", to("v1:80"))
		under := w.ask("web.test", "/")
		drains := w.deploy("web", to("v2:80")).wantWaiting()
		w.app("bad:80").set(refused)
		warms, queued := w.deploy("web", to("bad:80")), w.deploy("web", to("v3:80"))
		first := w.deploy("never", to("bad:80"))
		w.deployed("paused")
		w.pause("paused", 0, time.Minute).wantOK()
		held := w.ask("paused.test", "/")
		w.deployed("gone")
		slow := w.ask("gone.test", "/")
		removed := w.remove("gone", time.Minute).wantWaiting()

		w.shutdown()
		held.wantStatus(503)
		drains.wantOK()
		removed.wantOK()
		for _, o := range []*order{warms, queued, first} {
			o.wantErr(service.ErrShutdown)
		}
		under.wantUncut()
		slow.wantUncut()
		under.finish()
		slow.finish()
		w.settle()
		for _, o := range []*order{w.deploy("web"), w.deploy("late"), w.pause("web", 0, 0), w.resume("web"), w.deploy("web", toRollout), w.remove("web", 0)} {
			o.wantErr(service.ErrShutdown)
		}
		if q := w.ask("web.test", "/"); !errors.Is(q.err, system.ErrStopped) {
			t.Errorf("a late request %s", q)
		}
		w.shutdown()
	})
}

// What is being saved when the proxy ends is answered with what came of it.
func TestShutdownWaitsForTheLastSave(t *testing.T) {
	play(t, func(w *world) {
		w.deployed("web", to("v1:80"))
		w.deployed("other")
		w.disk.held = true
		d, s := w.deploy("web", to("v2:80")), w.stop("other", "")
		done := registry.Shutdown{Reply: system.NewReply[struct{}]()}
		w.registry.Tell(done)
		w.settle()
		d.wantWaiting()
		for w.disk.writing != nil {
			w.disk.release(nil)
			w.settle()
		}
		d.wantOK()
		s.wantOK()
		if _, err := done.Wait(w.Context(), nil); err != nil {
			t.Error(err)
		}
		w.wantSaved("web running", "other stopped")
	})
}

// An order in an inbox when everything ends is answered, too.
func TestOrdersThatMeetTheShutdown(t *testing.T) {
	play(t, func(w *world) {
		w.deployed("web")
		w.app("bad:80").set(refused)
		w.deploy("new", to("bad:80"))
		give := func(o service.Order, name string) { w.registry.Tell(registry.Order{Service: name, Order: o}) }
		for range 20 {
			_, a := w.asker("pause")
			give(&service.Pause{Asker: a}, "web")
			_, b := w.asker("resume")
			give(&service.Resume{Asker: b}, "web")
			_, c := w.asker("deploy")
			give(&service.Deploy{Asker: c, Targets: []string{"x:80"}}, "new")
		}
		w.registry.Tell(registry.Quiesce{})
		_, d := w.asker("late pause")
		give(&service.Pause{Asker: d}, "web")
		w.shutdown()
		for _, o := range w.orders {
			if !o.answered {
				t.Errorf("the %s was never answered", o.what)
			}
		}
	})
}

// After a Quiesce, a service that has lost its first deploy goes, but not
// before the others that it was given are ended.
func TestFirstDeploysFailBetweenQuiesceAndShutdown(t *testing.T) {
	play(t, func(w *world) {
		w.app("bad:80").set(refused)
		first, second := w.deploy("web", to("bad:80")), w.deploy("web", to("bad:80"))
		w.registry.Tell(registry.Quiesce{})
		w.pass(30 * time.Second)
		first.wantError("failed to become healthy")
		w.shutdown()
		second.wantErr(service.ErrShutdown)
	})
}

// A message that panics leaves the table intact, and everybody answered.
func TestPanicInTheRegistry(t *testing.T) {
	play(t, func(w *world) {
		w.deployed("web")
		slow := w.ask("web.test", "/")
		d := w.deploy("web", to("v2:80")).wantWaiting()
		for range 7 {
			w.registry.Tell(registry.Order{Service: "nothing is ordered"})
			w.registry.Tell(registry.Route{})
		}
		bad := registry.Restore{Reply: system.NewReply[struct{}](), Services: []service.Restore{{}}} // without a record
		w.registry.Tell(bad)
		if _, err := bad.Wait(w.Context(), nil); !errors.Is(err, system.ErrCrashed) {
			t.Errorf("the asker of the message that panicked got %v", err)
		}
		if w.system.Crashes() != 15 {
			t.Fatalf("it crashed %d times: this test shows nothing", w.system.Crashes())
		}
		w.ask("web.test", "/").wantTarget("v2:80").done()
		slow.done()
		d.wantOK()
		w.deployed("other")
		w.wantList("other other.test other:80 running; web web.test v2:80 running")
	})
}

// A service that keeps panicking is rebuilt in place: its address, its leases
// and its pools stay, and so does everybody who waits.
func TestPanicsInAServiceRebuildIt(t *testing.T) {
	play(t, func(w *world) {
		w.deployed("web", to("v1:80", "v2:80"))
		slow, tunnel := w.ask("web.test", "/"), w.ask("web.test", "/", upgrade)
		pause := w.pause("web", time.Hour, time.Hour).wantWaiting()
		waits := w.ask("web.test", "/").wantWaiting()
		w.app("bad:80").set(refused)
		warms := w.deploy("web", to("bad:80"))
		running, crashes := w.system.Running(), w.system.Crashes()

		for range 7 {
			w.breakService("web")
		}
		w.settle()
		if n := w.system.Crashes() - crashes; n != 7 {
			t.Fatalf("it crashed %d times: this test shows nothing", n)
		}
		if n := strings.Count(w.log.String(), "is rebuilt from its last committed state"); n != 2 {
			t.Errorf("it was rebuilt %d times, want 2", n)
		}
		if w.system.Running() != running {
			t.Errorf("%d actors were running, %d are", running, w.system.Running())
		}
		waits.wantWaiting()
		pause.wantWaiting()
		slow.done()
		tunnel.upgraded().wantCut(service.ErrReplaced)
		pause.wantOK()
		w.resume("web").wantOK()
		waits.wantTarget("v1:80").done()
		w.wantShare("v1:80", 1, "v2:80", 1)
		w.pass(30 * time.Second)
		warms.wantError("failed to become healthy")
		w.deployed("web", to("v3:80"))
	})
}

// What others put in may panic: a caller's progress, a request's end, a
// target's connections.
func TestInjectedFunctionsMayPanic(t *testing.T) {
	play(t, func(w *world) {
		w.deployed("web", to("v1:80"))
		w.app("v1:80").breaks = true
		slow, tunnel := w.ask("web.test", "/"), w.start("web.test", "/", upgrade, func(r *service.Route) {
			end := r.Cut
			r.Cut = func(err error) { end(err); panic("the end is not clean") }
		})
		w.settle()
		tunnel.upgraded()
		o, a := w.asker("deploy")
		a.Notify = func(service.Progress) { panic("nobody listens") }
		d := &service.Deploy{Asker: a, Targets: []string{"v2:80"}}
		d.Options, d.TargetOptions = record("web").Options, record("web").TargetOptions
		w.registry.Tell(registry.Order{Service: "web", Order: d})
		w.settle()
		w.ask("web.test", "/").wantTarget("v2:80").done()
		tunnel.wantCut(service.ErrReplaced)
		slow.wantCut(service.ErrDrained) // drained for 0s
		w.settle()
		o.wantOK()
	})
}

// breakService sends a service a message that panics: an order that is not
// there.
func (w *world) breakService(name string) {
	w.registry.Tell(registry.Order{Service: name, Order: (*service.Stop)(nil)})
}
