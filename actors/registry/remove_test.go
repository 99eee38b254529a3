package registry_test

import (
	"testing"
	"time"

	"kamal-proxy/actors/registry"
	"kamal-proxy/actors/service"
)

func TestRemove(t *testing.T) {
	play(t, func(w *world) {
		w.deployed("web", hosts("a.test", "b.test"))
		slow := w.ask("a.test", "/")
		r := w.remove("web", time.Minute).wantWaiting().wantStages("draining")
		w.ask("a.test", "/").wantStatus(404)
		w.ask("b.test", "/").wantStatus(404)
		w.wantList("")
		w.pause("web", 0, 0).wantErr(registry.ErrNotFound)
		w.remove("web", 0).wantErr(registry.ErrNotFound)
		w.pass(10 * time.Second)
		slow.wantUncut()
		slow.done()
		r.wantOK().wantStages("draining drained")
		if len(w.forgotten) != 1 || w.forgotten[0] != "web" {
			t.Errorf("forgotten are %v", w.forgotten)
		}
	})
}

func TestRemoveAnswersHeldRequests(t *testing.T) {
	play(t, func(w *world) {
		w.deployed("web")
		w.pause("web", 0, time.Minute).wantOK()
		held := w.ask("web.test", "/").wantWaiting()
		w.remove("web", time.Minute).wantOK()
		held.wantStatus(404)
	})
}

func TestRemoveCutsAtItsTimeout(t *testing.T) {
	play(t, func(w *world) {
		w.deployed("web")
		slow, tunnel := w.ask("web.test", "/"), w.ask("web.test", "/", upgrade).upgraded()
		r := w.remove("web", 5*time.Second)
		tunnel.wantCut(service.ErrReplaced)
		w.pass(5 * time.Second)
		slow.wantCut(service.ErrDrained)
		r.wantOK()
	})
}

func TestRemoveOfOneThatDoesNotEnd(t *testing.T) {
	play(t, func(w *world) {
		w.deployed("web", to("v1:80"))
		stuck := w.ask("web.test", "/")
		stuck.stubborn = true
		d := w.deploy("web", to("v2:80"), draining(time.Hour))
		p := w.pause("web", time.Hour, time.Hour)
		running := w.system.Running()
		r := w.remove("web", time.Second)
		w.pass(2 * time.Second)
		r.wantOK()
		d.wantOK()
		p.wantOK()
		if w.system.Running() >= running {
			t.Error("the service lives on")
		}
		stuck.done()
		w.settle()
	})
}

// Requests on targets that were replaced before have the removal's time, and
// only their own deploy waits for them.
func TestRemoveDuringADeploysDrain(t *testing.T) {
	for _, slow := range []time.Duration{time.Second, time.Hour} {
		play(t, func(w *world) {
			w.deployed("web", to("v1:80"))
			q := w.ask("web.test", "/")
			d := w.deploy("web", to("v2:80"), draining(time.Minute))
			w.remove("web", 10*time.Second).wantOK()
			w.pass(min(slow, 10*time.Second-1))
			q.wantUncut()
			d.wantWaiting()
			if slow < time.Minute {
				q.done()
			} else {
				w.pass(1)
				q.wantCut(service.ErrDrained)
			}
			d.wantOK()
			w.pass(2 * time.Second)
			if len(w.forgotten) != 1 {
				t.Error("the service lives on")
			}
		})
	}
}

func TestRemoveEndsDeploysUnderWay(t *testing.T) {
	play(t, func(w *world) {
		w.deployed("web", to("v1:80"))
		w.app("bad:80").set(refused)
		under, queued := w.deploy("web", to("bad:80")), w.deploy("web", to("v3:80"))
		w.remove("web", 0).wantOK()
		under.wantErr(service.ErrRemoved)
		queued.wantErr(service.ErrRemoved)
		w.pass(time.Hour)
		w.wantList("")
	})
}

// A remove that meets a change that is being saved comes after it, and what
// comes after the remove, too.
func TestRemoveWhileADeployIsSaved(t *testing.T) {
	play(t, func(w *world) {
		w.deployed("web", to("v1:80"))
		w.disk.held = true
		saved := w.deploy("web", to("v2:80"))
		r := w.remove("web", time.Minute)
		again := w.remove("web", time.Minute)
		p := w.pause("web", 0, 0)
		next := w.deploy("web", to("v3:80"))
		w.ask("web.test", "/").wantTarget("v1:80").done()
		w.disk.release(nil) // the deploy
		w.settle()
		saved.wantOK()
		r.wantWaiting()
		w.ask("web.test", "/").wantTarget("v2:80").done()
		w.disk.release(nil) // the remove
		w.settle()
		r.wantOK()
		again.wantErr(registry.ErrNotFound)
		p.wantErr(registry.ErrNotFound)
		w.ask("web.test", "/").wantStatus(404)
		w.disk.release(nil) // the next deploy
		w.settle()
		next.wantOK()
		w.ask("web.test", "/").wantTarget("v3:80").done()
	})
}

func TestNameIsFreeWhileTheOldServiceDrains(t *testing.T) {
	play(t, func(w *world) {
		w.deployed("web", to("v1:80"))
		slow := w.ask("web.test", "/")
		r := w.remove("web", time.Minute).wantWaiting()
		w.deployed("web", to("v2:80"))
		w.ask("web.test", "/").wantTarget("v2:80").done()
		slow.wantUncut()
		slow.done()
		r.wantOK()
		w.ask("web.test", "/").wantTarget("v2:80").done()
		if len(w.forgotten) != 0 {
			t.Error("a service whose name lives on is forgotten")
		}
		w.remove("web", 0).wantOK()
		if len(w.forgotten) != 1 {
			t.Errorf("forgotten are %v", w.forgotten)
		}
	})
}
