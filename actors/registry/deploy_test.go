package registry_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"kamal-proxy/actors/service"
	"kamal-proxy/actors/spec"
)

func TestDeployWaitsForHealthThenSwitches(t *testing.T) {
	play(t, func(w *world) {
		w.app("v1:80").set(refused)
		d := w.deploy("web", to("v1:80")).wantWaiting()
		w.ask("web.test", "/").wantStatus(404)
		w.wantList("")
		w.pass(3 * time.Second)
		d.wantWaiting()

		w.app("v1:80").set(ok)
		w.pass(50 * time.Millisecond) // refused ones are tried again soon
		d.wantOK().wantStages("checking healthy switched")
		w.ask("web.test", "/").wantTarget("v1:80").done()
		w.wantList("web web.test v1:80 running")

		checks := w.app("v1:80").times()
		w.pass(time.Hour)
		if w.app("v1:80").times() != checks {
			t.Error("a lone target that serves is checked on")
		}
	})
}

func TestSwitchDividesRequests(t *testing.T) {
	play(t, func(w *world) {
		w.deployed("web", to("v1:80"))
		w.app("v2:80").takes = time.Second
		d := w.deploy("web", to("v2:80"))
		w.pass(time.Second - 1)
		old := w.ask("web.test", "/").wantTarget("v1:80")
		w.pass(1)
		w.ask("web.test", "/").wantTarget("v2:80").done()
		d.wantWaiting().wantStages("healthy switched draining")
		w.pass(10 * time.Second)
		d.wantWaiting()
		if w.app("v1:80").closed != 0 {
			t.Error("the old target's connections are closed under its request")
		}
		old.wantUncut()
		old.done()
		d.wantOK().wantStages("healthy switched draining drained")
		if w.app("v1:80").closed != 1 {
			t.Error("the old target's connections stay open")
		}
	})
}

// What is routed in the very moment of the switch goes to one of the pools,
// and is waited for there.
func TestRequestsInTheMomentOfTheSwitch(t *testing.T) {
	play(t, func(w *world) {
		w.deployed("web", to("v1:80"))
		w.disk.held = true
		d := w.deploy("web", to("v2:80")).wantWaiting()
		for range 50 {
			w.start("web.test", "/")
		}
		go w.disk.release(nil)
		for range 50 {
			w.start("web.test", "/")
		}
		w.settle()
		old := 0
		for _, q := range w.requests {
			switch {
			case q.err != nil || q.verdict.Action != service.Forward:
				t.Fatalf("a request %s", q)
			case q.verdict.TargetName == "v1:80":
				old++
			}
		}
		if old > 0 {
			d.wantWaiting()
		}
		for _, q := range w.requests {
			q.finish()
		}
		w.settle()
		d.wantOK()
	})
}

func TestTwoDeploysOfOneServiceSwitchOneAfterTheOther(t *testing.T) {
	play(t, func(w *world) {
		w.app("v1:80").takes, w.app("v2:80").takes = 3*time.Second, time.Second
		first, second := w.deploy("web", to("v1:80")), w.deploy("web", to("v2:80"))
		second.wantStages("queued")
		w.pass(2 * time.Second)
		if w.app("v2:80").times() != 0 {
			t.Error("the second is checked before the first has switched")
		}
		w.pass(time.Second)
		held := w.ask("web.test", "/").wantTarget("v1:80")
		first.wantOK()
		w.pass(time.Second)
		w.ask("web.test", "/").wantTarget("v2:80").done()
		second.wantWaiting().wantStages("queued healthy switched draining")
		held.done()
		second.wantOK()
	})
}

// The next deploy begins when the one before has switched, beside its drain.
func TestDrainsGoOnBesideTheNextDeploy(t *testing.T) {
	play(t, func(w *world) {
		w.deployed("web", to("v1:80"))
		one := w.ask("web.test", "/").wantTarget("v1:80")
		first := w.deploy("web", to("v2:80")).wantWaiting()
		two := w.ask("web.test", "/").wantTarget("v2:80")
		second := w.deploy("web", to("v3:80")).wantWaiting()
		w.ask("web.test", "/").wantTarget("v3:80").done()
		two.done()
		first.wantWaiting()
		second.wantOK()
		one.done()
		first.wantOK()
	})
}

func TestDeploysOfDifferentServicesOverlap(t *testing.T) {
	play(t, func(w *world) {
		w.app("a:80").takes, w.app("b:80").takes = 5*time.Second, 5*time.Second
		a, b := w.deploy("a"), w.deploy("b")
		w.pass(5 * time.Second)
		a.wantOK()
		b.wantOK()
	})
}

func TestTargetThatNeverGetsHealthyDelaysOnlyItsOwnService(t *testing.T) {
	play(t, func(w *world) {
		w.deployed("web", to("v1:80"))
		w.app("bad:80").set(refused)
		bad := w.deploy("web", to("bad:80"))
		next := w.deploy("web", to("v2:80")).wantStages("queued")
		w.deployed("other")
		w.pause("web", 0, time.Minute).wantOK()
		w.resume("web").wantOK()
		w.ask("web.test", "/").wantTarget("v1:80").done()
		w.pass(30 * time.Second)
		bad.wantError("target failed to become healthy within configured timeout (30s)")
		next.wantOK()
		w.ask("web.test", "/").wantTarget("v2:80").done()
	})
}

func TestSlowDrainDelaysNoCommand(t *testing.T) {
	play(t, func(w *world) {
		w.deployed("web", to("v1:80"))
		slow := w.ask("web.test", "/")
		draining := w.deploy("web", to("v2:80")).wantWaiting()
		w.deploy("web", to("v3:80")).wantOK()
		w.stop("web", "closed").wantOK() // that request is on a target it does not wait for
		w.resume("web").wantOK()
		w.deploy("web", toRollout, to("r:80")).wantOK()
		w.split("web", 10).wantOK()
		w.deployed("other")
		w.remove("other", time.Second).wantOK()
		draining.wantWaiting()
		slow.done()
		draining.wantOK()
	})
}

func TestTimeLimitDoesNotCountWhileSaving(t *testing.T) {
	play(t, func(w *world) {
		w.disk.held = true
		d := w.deploy("web", within(time.Second))
		w.pass(time.Minute)
		d.wantWaiting()
		w.disk.release(nil)
		w.settle()
		d.wantOK()
	})
}

func TestForceTakesTrafficAtOnce(t *testing.T) {
	play(t, func(w *world) {
		w.app("one:80").set(refused)
		w.deployed("web", to("one:80"), force)
		w.ask("web.test", "/").wantTarget("one:80").done()
		w.pass(time.Hour)
		w.ask("web.test", "/").wantTarget("one:80").done()
		if n := w.app("one:80").times(); n != 0 {
			t.Errorf("a lone target is checked %d times", n)
		}
	})
}

// Several targets are taken for healthy until their first check, which comes
// with the switch.
func TestForceOfSeveralTargets(t *testing.T) {
	play(t, func(w *world) {
		w.app("a:80").takes, w.app("b:80").takes = time.Second, time.Second
		w.app("b:80").set(refused)
		w.deployed("web", to("a:80", "b:80"), force)
		w.wantShare("a:80", 2, "b:80", 2)
		w.pass(time.Second)
		w.wantShare("a:80", 4)
	})
}

func TestDeployGoesOnWhenItsCallerLeaves(t *testing.T) {
	play(t, func(w *world) {
		w.app("v1:80").takes = time.Second
		d := w.deploy("web", to("v1:80"))
		d.leave()
		w.settle()
		w.pass(time.Second)
		w.wantList("web web.test v1:80 running")
		w.ask("web.test", "/").wantTarget("v1:80").done()
	})
}

func TestProgressSaysHowLongItTook(t *testing.T) {
	play(t, func(w *world) {
		w.deployed("web", to("v1:80"))
		slow := w.ask("web.test", "/")
		w.app("v2:80").takes = 2 * time.Second
		d := w.deploy("web", to("v2:80"))
		w.pass(3 * time.Second)
		slow.done()
		d.wantOK()
		var told []string
		for _, p := range d.progress {
			told = append(told, fmt.Sprintf("%s %s %s %d", p.Stage, p.Target, p.Elapsed, p.InFlight))
		}
		want := "healthy v2:80 2s 0|switched  2s 0|draining  2s 1|drained  3s 0"
		if got := strings.Join(told, "|"); got != want {
			t.Errorf("the caller was told %s, want %s", got, want)
		}
	})
}

func TestPolicyIsThatOfTheLastDeploy(t *testing.T) {
	play(t, func(w *world) {
		w.deployed("web", options(func(o *spec.Options) { o.ClientIPHeader = "X-One" }))
		one := w.ask("web.test", "/")
		w.deploy("web", options(func(o *spec.Options) { o.ClientIPHeader = "X-Two" }))
		two := w.ask("web.test", "/")
		if one.verdict.Policy.Options.ClientIPHeader != "X-One" || two.verdict.Policy.Options.ClientIPHeader != "X-Two" {
			t.Error("options change under running requests, or not at all")
		}
		one.done()
		two.done()
	})
}
