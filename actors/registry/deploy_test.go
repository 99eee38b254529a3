package registry_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"kamal-proxy/actors/healthcheck"
	"kamal-proxy/actors/registry"
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

func TestFailedDeployTellsWhy(t *testing.T) {
	for name, c := range map[string]struct {
		result healthcheck.Result
		takes  time.Duration
		want   []string
	}{
		"refused":   {refused, 0, []string{"bad:80 refused the connection (", "times)", "Nothing listens there"}},
		"500":       {healthcheck.Result{Status: 500, Detail: "Internal Server Error"}, time.Millisecond, []string{"bad:80 answered 500 Internal Server Error for GET /up (30 times)", "The app itself fails: see its log."}},
		"redirect":  {healthcheck.Result{Status: 301, Detail: "Moved Permanently", Location: "https://bad/up"}, 0, []string{"answered 301 Moved Permanently to https://bad/up for GET /up", "without a redirect", "force_ssl"}},
		"not found": {healthcheck.Result{Status: 404, Detail: "Not Found"}, 0, []string{"answered 404", "--health-check-path"}},
		"host":      {healthcheck.Result{Status: 403, Detail: "Forbidden"}, 0, []string{"answered 403", "--health-check-host"}},
		"login":     {healthcheck.Result{Status: 401, Detail: "Unauthorized"}, 0, []string{"answered 401", "no credentials"}},
		"time":      {ok, time.Minute, []string{"did not answer within 5s", "--health-check-timeout (now 5s)"}},
		"name":      {healthcheck.Result{Kind: healthcheck.NoSuchHost}, 0, []string{"does not resolve", "same network"}},
		"else":      {healthcheck.Result{Kind: healthcheck.Failed, Detail: "EOF"}, 0, []string{"bad:80 failed: EOF"}},
	} {
		t.Run(name, func(t *testing.T) {
			play(t, func(w *world) {
				w.app("bad:80").set(c.result)
				w.app("bad:80").takes = c.takes
				d := w.deploy("web", to("good:80", "bad:80"))
				w.pass(30*time.Second - 1)
				d.wantWaiting()
				w.pass(1)
				d.wantError(append(c.want, "target failed to become healthy within configured timeout (30s)")...)
				if strings.Contains(d.err.Error(), "good:80") {
					t.Errorf("%q blames the target that is healthy", d.err)
				}
				var why *service.DeployError
				if !errors.As(d.err, &why) || len(why.Targets) != 1 || why.Targets[0].Target != "bad:80" || why.Targets[0].Path != "/up" {
					t.Errorf("the error does not say which target it is: %#v", d.err)
				}
			})
		})
	}
}

func TestDiagnosisTellsWhatChanged(t *testing.T) {
	play(t, func(w *world) {
		w.app("bad:80").set(refused)
		d := w.deploy("web", to("bad:80"), within(3*time.Second))
		w.pass(120 * time.Millisecond)
		w.app("bad:80").set(healthcheck.Result{Status: 503})
		w.pass(3 * time.Second)
		d.wantError("(3s)\n", "bad:80 refused the connection (3 times), then answered 503 for GET /up (3 times)\n", "see its log")
	})
}

func TestDiagnosisOfATargetThatHasNotAnsweredYet(t *testing.T) {
	play(t, func(w *world) {
		w.app("slow:80").takes = 4 * time.Second
		d := w.deploy("web", to("slow:80"), within(time.Second))
		w.pass(time.Second)
		d.wantError("configured timeout (1s)", "has not answered its first check of /up yet", "--deploy-timeout")
	})
}

func TestOneCheckDecidesWithoutDeployTimeout(t *testing.T) {
	play(t, func(w *world) {
		w.app("bad:80").set(refused)
		w.deploy("web", to("bad:80"), within(0)).wantError("configured timeout (0s)", "bad:80 refused the connection\n")
		if n := w.app("bad:80").times(); n != 1 {
			t.Errorf("it was checked %d times", n)
		}
		w.app("slow:80").takes = 2 * time.Second
		d := w.deploy("web", to("slow:80", "quick:80"), within(0)).wantWaiting()
		w.pass(2 * time.Second)
		d.wantOK()
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

func TestFailedFirstDeployLeavesNothing(t *testing.T) {
	play(t, func(w *world) {
		w.app("bad:80").set(refused)
		running := w.system.Running()
		d := w.deploy("web", to("bad:80"), hosts("shared.test"))
		w.pause("web", 0, 0).wantErr(registry.ErrNotFound)
		w.remove("web", 0).wantErr(registry.ErrNotFound)
		w.pass(30 * time.Second)
		d.wantError("failed to become healthy")
		w.wantList("")
		for _, o := range []*order{w.pause("web", 0, 0), w.resume("web"), w.stop("web", ""), w.split("web", 1), w.deploy("web", toRollout), w.remove("web", 0)} {
			o.wantErr(registry.ErrNotFound).wantError("service not found")
		}
		if n := w.system.Running(); n != running {
			t.Errorf("%d actors live on", n-running)
		}
		if len(w.forgotten) != 1 || w.disk.saves != 0 {
			t.Errorf("forgotten: %v, saves: %d", w.forgotten, w.disk.saves)
		}
		w.deployed("other", hosts("shared.test"))
	})
}

// A deploy that comes while the first one fails finds the service, or makes it
// again, but is never lost.
func TestDeployWhileTheFirstFails(t *testing.T) {
	play(t, func(w *world) {
		w.app("bad:80").set(refused)
		first := w.deploy("web", to("bad:80"))
		second := w.deploy("web", to("good:80"))
		w.pass(30 * time.Second)
		first.wantError("failed to become healthy")
		second.wantOK()
		w.ask("web.test", "/").wantTarget("good:80").done()
	})
}

func TestFailedLaterDeployChangesNothing(t *testing.T) {
	play(t, func(w *world) {
		w.deployed("web", to("v1:80"))
		saves := w.disk.saves
		w.app("bad:80").set(refused)
		d := w.deploy("web", to("bad:80"), hosts("elsewhere.test"), withTLS)
		under := w.ask("web.test", "/").wantTarget("v1:80")
		w.pass(30 * time.Second)
		d.wantError("failed to become healthy")
		under.wantUncut()
		under.done()
		w.ask("web.test", "/").wantTarget("v1:80").done()
		w.ask("elsewhere.test", "/").wantStatus(404)
		w.wantList("web web.test v1:80 running")
		if w.disk.saves != saves {
			t.Error("it was saved")
		}
		checks := w.app("bad:80").times()
		w.pass(time.Minute)
		if w.app("bad:80").times() != checks {
			t.Error("a refused target is checked for ever")
		}
	})
}

func TestTargetThatCannotBeConnected(t *testing.T) {
	play(t, func(w *world) {
		w.app("odd:80").refuse = errors.New("odd:80 is no target")
		w.deploy("web", to("fine:80", "odd:80")).wantError("odd:80 is no target")
		w.deploy("web", to()).wantError("no target was given")
		w.deployed("web")
	})
}

func TestDeployWhosePartsPanic(t *testing.T) {
	play(t, func(w *world) {
		w.deployed("web", to("v1:80"))
		w.app("odd:80").breaks = true
		w.deploy("web", to("fine:80", "odd:80")).wantError("odd:80")
		w.deploy("web", to("v2:80")).wantOK()
		w.ask("web.test", "/").wantTarget("v2:80").done()
	})
}

func TestTwoServicesThatWantOneHost(t *testing.T) {
	for _, c := range []struct{ first, second []how }{
		{[]how{hosts("a.test")}, []how{hosts("b.test", "a.test")}},
		{[]how{hosts("*.a.test")}, []how{hosts("*.a.test")}},
		{[]how{hosts("")}, []how{hosts("")}},
		{[]how{hosts("a.test"), at("/x", "/y")}, []how{hosts("a.test"), at("/y")}},
	} {
		play(t, func(w *world) {
			w.deployed("first", c.first...)
			d := w.deploy("second", c.second...)
			d.wantError("host is used by another service", "first")
			var conflict *registry.ConflictError
			if !errors.As(d.err, &conflict) || conflict.Owner != "first" {
				t.Errorf("the error is %#v", d.err)
			}
			if n := w.app("second:80").times(); n != 0 {
				t.Errorf("the target of a refused deploy is checked %d times", n)
			}
			w.deployed("first", c.first...) // one's own hosts are no conflict
			w.remove("first", 0).wantOK()
			w.deployed("second", c.second...)
		})
	}
}

func TestDifferentPathsAndWildcardsAreNoConflict(t *testing.T) {
	play(t, func(w *world) {
		w.deployed("root", hosts("a.test"))
		w.deployed("api", hosts("a.test"), at("/api"))
		w.deployed("wild", hosts("*.test"))
		w.deployed("any", hosts(""))
		for name, q := range map[string]*request{
			"root:80": w.ask("a.test", "/"), "api:80": w.ask("a.test", "/api/x"),
			"wild:80": w.ask("b.test", "/"), "any:80": w.ask("c.b.test", "/"),
		} {
			q.wantTarget(name).done()
		}
	})
}

// Hosts are looked at again when the targets are healthy: who is first has
// them.
func TestTwoDeploysRaceForOneHost(t *testing.T) {
	play(t, func(w *world) {
		w.app("slow:80").takes = time.Second
		slow := w.deploy("slow", hosts("a.test"))
		w.disk.held = true
		quick := w.deploy("quick", hosts("a.test")).wantWaiting()
		w.pass(time.Second)
		slow.wantError("host is used by another service", "quick") // its save is under way
		w.deploy("third", hosts("a.test")).wantError("host is used by another service", "quick")
		w.disk.release(nil)
		w.settle()
		quick.wantOK()
		w.wantList("quick a.test quick:80 running")
	})
}

func TestHostsOfARefusedSaveAreFree(t *testing.T) {
	play(t, func(w *world) {
		w.disk.held = true
		first := w.deploy("first", hosts("a.test"))
		w.disk.release(errors.New("disk full"))
		w.settle()
		first.wantError("disk full")
		w.disk.held = false
		w.deployed("second", hosts("a.test"))
	})
}

func TestDeployThatMovesToOtherHosts(t *testing.T) {
	play(t, func(w *world) {
		w.deployed("web", hosts("old.test", "both.test"))
		w.deployed("web", hosts("new.test", "both.test"))
		w.ask("old.test", "/").wantStatus(404)
		w.ask("both.test", "/").wantTarget("web:80").done()
		w.ask("new.test", "/").wantTarget("web:80").done()
		w.deployed("other", hosts("old.test"))
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
