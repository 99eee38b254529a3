package registry_test

import (
	"testing"
	"time"

	"kamal-proxy/actors/service"
)

func TestDrainCutsAtTheTimeout(t *testing.T) {
	play(t, func(w *world) {
		w.deployed("web", to("v1:80"))
		slow := w.ask("web.test", "/")
		d := w.deploy("web", to("v2:80"), draining(10*time.Second))
		w.pass(10*time.Second - 1)
		slow.wantUncut()
		d.wantWaiting()
		w.pass(1)
		slow.wantCut(service.ErrDrained)
		d.wantOK().wantStages("healthy switched draining cut drained")
		if d.took != 10*time.Second {
			t.Errorf("the deploy took %v", d.took)
		}
	})
}

// One that does not end when it is cut off is not waited for.
func TestDrainOfOneThatDoesNotEnd(t *testing.T) {
	play(t, func(w *world) {
		w.deployed("web", to("v1:80"))
		stuck := w.ask("web.test", "/")
		stuck.stubborn = true
		d := w.deploy("web", to("v2:80"), draining(time.Second))
		w.pass(time.Second)
		d.wantWaiting()
		w.pass(time.Second)
		d.wantOK()
		if w.app("v1:80").closed != 0 {
			t.Error("the connections of a request that has not ended are let go")
		}
		stuck.wantCut(service.ErrDrained)
		stuck.done()
		if w.app("v1:80").closed != 1 {
			t.Error("they are never let go")
		}
	})
}

func TestDrainZeroCutsAtOnce(t *testing.T) {
	play(t, func(w *world) {
		w.deployed("web", to("v1:80"))
		slow := w.ask("web.test", "/")
		w.deploy("web", to("v2:80"), draining(0)).wantOK()
		slow.wantCut(service.ErrDrained)
	})
}

func TestTunnelsAreCutAtTheStartOfADrain(t *testing.T) {
	play(t, func(w *world) {
		w.deployed("web", to("v1:80"))
		tunnel := w.ask("web.test", "/ws", upgrade).upgraded()
		other := w.ask("web.test", "/")
		d := w.deploy("web", to("v2:80"))
		tunnel.wantCut(service.ErrReplaced)
		other.wantUncut()
		d.wantWaiting()
		other.done()
		d.wantOK()
	})
}

// The target says 101 after its pool was retired.
func TestTunnelThatComesTooLate(t *testing.T) {
	play(t, func(w *world) {
		w.deployed("web", to("v1:80"))
		late := w.ask("web.test", "/ws", upgrade)
		d := w.deploy("web", to("v2:80")).wantWaiting()
		late.wantUncut()
		late.upgraded().wantCut(service.ErrReplaced)
		d.wantOK()
	})
}

func TestTunnelThatEndsSlowlyIsCutOnce(t *testing.T) {
	play(t, func(w *world) {
		w.deployed("web", to("v1:80"))
		tunnel := w.ask("web.test", "/ws", upgrade).upgraded()
		tunnel.stubborn = true // it says its Close frames first
		d := w.deploy("web", to("v2:80"), draining(5*time.Second))
		w.pause("web", time.Second, time.Minute)
		tunnel.upgraded()
		w.pass(time.Second)
		tunnel.wantCut(service.ErrReplaced)
		d.wantWaiting()
		tunnel.done()
		d.wantOK()
	})
}

func TestTunnelsOfAServiceThatGoesOnAreLeftAlone(t *testing.T) {
	play(t, func(w *world) {
		w.deployed("web")
		tunnel := w.ask("web.test", "/ws", upgrade).upgraded()
		w.app("bad:80").set(refused)
		w.deploy("web", to("bad:80"), within(0)).wantError("bad:80")
		w.pass(time.Hour)
		tunnel.wantUncut()
		tunnel.done()
	})
}

func TestTunnelsEndWithAPause(t *testing.T) {
	play(t, func(w *world) {
		w.deployed("web")
		tunnel := w.ask("web.test", "/ws", upgrade).upgraded()
		late := w.ask("web.test", "/ws", upgrade)
		p := w.pause("web", time.Minute, time.Minute).wantWaiting()
		tunnel.wantCut(service.ErrReplaced)
		late.wantUncut()
		late.upgraded().wantCut(service.ErrReplaced)
		p.wantOK()
		w.resume("web").wantOK()
	})
}

// A deploy that meets a pause waits for the targets that the pause drains, too.
func TestDeployDuringAPausesDrainWaitsToo(t *testing.T) {
	play(t, func(w *world) {
		w.deployed("web", to("v1:80"))
		slow := w.ask("web.test", "/")
		p := w.pause("web", time.Minute, time.Minute).wantWaiting()
		d := w.deploy("web", to("v2:80")).wantWaiting()
		w.pass(10 * time.Second)
		p.wantWaiting()
		d.wantWaiting()
		slow.done()
		p.wantOK()
		d.wantOK()
	})
}

// Targets that were replaced before are their own deploy's to wait for.
func TestPauseDuringADeploysDrainWaitsForItsOwn(t *testing.T) {
	play(t, func(w *world) {
		w.deployed("web", to("v1:80"))
		old := w.ask("web.test", "/")
		d := w.deploy("web", to("v2:80"), draining(time.Minute)).wantWaiting()
		under := w.ask("web.test", "/")
		p := w.pause("web", 10*time.Second, time.Minute).wantWaiting()
		under.done()
		p.wantOK()
		d.wantWaiting()
		w.pass(10 * time.Second)
		old.wantUncut()
		old.done()
		d.wantOK()
	})
}

func TestDrainsOfOnePoolEachHaveTheirTime(t *testing.T) {
	play(t, func(w *world) {
		w.deployed("web", to("v1:80"))
		stuck := w.ask("web.test", "/")
		stuck.stubborn = true
		p := w.pause("web", 5*time.Second, time.Minute)
		d := w.deploy("web", to("v2:80"), draining(20*time.Second))
		w.pass(5 * time.Second)
		stuck.wantCut(service.ErrDrained)
		w.pass(time.Second)
		p.wantOK()
		d.wantWaiting()
		w.pass(15 * time.Second)
		d.wantOK()
		stuck.wantCut(service.ErrDrained)
	})
}
