package registry_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"kamal-proxy/actors/service"
)

func TestPauseHoldsAndResumeReleasesInOrder(t *testing.T) {
	play(t, func(w *world) {
		w.deployed("web")
		w.pause("web", time.Minute, time.Minute).wantOK()
		w.wantList("web web.test web:80 paused")
		var held []*request
		for range maxHeld {
			held = append(held, w.ask("web.test", "/").wantWaiting())
		}
		w.pass(30 * time.Second)
		for _, q := range held {
			q.wantWaiting()
		}
		w.resume("web").wantOK()
		for _, q := range held {
			q.wantTarget("web:80")
			q.done()
		}
		w.wantList("web web.test web:80 running")
	})
}

func TestMaxPauseIsThatOfThePauseARequestCameUnder(t *testing.T) {
	play(t, func(w *world) {
		w.deployed("web")
		w.pause("web", 0, 30*time.Second).wantOK()
		long := w.ask("web.test", "/")
		w.pass(time.Second)
		w.pause("web", 0, 5*time.Second).wantOK()
		short := w.ask("web.test", "/")
		w.pass(time.Second)
		w.pause("web", 0, 10*time.Second).wantOK()
		middle := w.ask("web.test", "/")
		w.pass(20 * time.Second)
		short.wantStatus(504)
		middle.wantStatus(504)
		long.wantWaiting()
		w.pass(20 * time.Second)
		long.wantStatus(504)
		for q, at := range map[*request]time.Duration{long: 30 * time.Second, short: 6 * time.Second, middle: 12 * time.Second} {
			if q.at != at {
				t.Errorf("a request got its 504 at %v, want %v", q.at, at)
			}
		}
	})
}

func TestMaxPauseZeroAnswersAtOnce(t *testing.T) {
	play(t, func(w *world) {
		w.deployed("web")
		w.pause("web", 0, 0).wantOK()
		q := w.ask("web.test", "/")
		w.pass(0)
		q.wantStatus(504)
	})
}

func TestQueueIsBounded(t *testing.T) {
	play(t, func(w *world) {
		w.deployed("web")
		w.pause("web", 0, time.Minute).wantOK()
		first := w.ask("web.test", "/")
		for range maxHeld - 1 {
			w.ask("web.test", "/").wantWaiting()
		}
		shed := w.ask("web.test", "/").wantStatus(503)
		if shed.verdict.RetryAfter <= 0 || shed.verdict.Service != "web" {
			t.Errorf("the verdict is %+v", shed.verdict)
		}
		first.leave()
		w.settle()
		w.ask("web.test", "/").wantWaiting() // there is a place again
		w.resume("web").wantOK()
	})
}

func TestHeldRequestWhoseClientLeaves(t *testing.T) {
	play(t, func(w *world) {
		w.deployed("web", to("v1:80"))
		w.pause("web", 0, time.Minute).wantOK()
		gone, stays := w.ask("web.test", "/"), w.ask("web.test", "/")
		gone.leave()
		w.settle()
		if !gone.answered || !errors.Is(gone.err, context.Canceled) {
			t.Errorf("it %s", gone)
		}
		w.resume("web").wantOK()
		stays.wantTarget("v1:80").done()
		w.deploy("web", to("v2:80")).wantOK() // no lease is left of the one that left
	})
}

func TestStop(t *testing.T) {
	play(t, func(w *world) {
		w.deployed("web")
		w.pause("web", 0, time.Minute).wantOK()
		held := w.ask("web.test", "/").wantWaiting()
		w.stop("web", "back at noon").wantOK()
		after := w.ask("web.test", "/")
		for _, q := range []*request{held, after} {
			q.wantStatus(503)
			if q.verdict.Message != "back at noon" || q.verdict.RetryAfter != 0 {
				t.Errorf("the verdict is %+v", q.verdict)
			}
		}
		w.wantList("web web.test web:80 stopped")
		w.resume("web").wantOK()
		w.ask("web.test", "/").wantTarget("web:80").done()
	})
}

func TestStopWaitsForWhatIsUnderWay(t *testing.T) {
	play(t, func(w *world) {
		w.deployed("web")
		slow := w.ask("web.test", "/")
		s := w.stop("web", "").wantWaiting().wantStages("switched draining")
		w.ask("web.test", "/").wantStatus(503)
		slow.done()
		s.wantOK()
	})
}

func TestPauseAfterAStop(t *testing.T) {
	play(t, func(w *world) {
		w.deployed("web")
		w.stop("web", "closed").wantOK()
		w.pause("web", 0, time.Minute).wantOK()
		w.ask("web.test", "/").wantWaiting()
		w.resume("web").wantOK()
	})
}

func TestHealthPathIsAnsweredWhilePausedAndStopped(t *testing.T) {
	play(t, func(w *world) {
		w.deployed("web", at("/", "/app"), func(d *service.Deploy) { d.TargetOptions.HealthCheck.Path = "/up?full=1" })
		try := func() {
			t.Helper()
			w.ask("web.test", "/up").wantStatus(200)
			w.ask("web.test", "/up", method("HEAD")).wantStatus(200)
			w.ask("web.test", "/app/up").wantStatus(200) // as the target sees it
		}
		w.stop("web", "").wantOK()
		try()
		w.ask("web.test", "/up", method("POST")).wantStatus(503)
		w.ask("web.test", "/up/x").wantStatus(503)
		w.ask("web.test", "/").wantStatus(503)
		w.pause("web", 0, time.Minute).wantOK()
		try()
		w.ask("web.test", "/up", method("POST")).wantWaiting()
		w.resume("web").wantOK()
		w.ask("web.test", "/up").wantTarget("web:80").done()
	})
}

// A resume ends a pause's drain: its caller is answered, and nothing is cut.
func TestResumeEndsADrain(t *testing.T) {
	for name, quieten := range map[string]func(w *world) *order{
		"pause": func(w *world) *order { return w.pause("web", 10*time.Second, time.Minute) },
		"stop":  func(w *world) *order { return w.stop("web", "") },
	} {
		t.Run(name, func(t *testing.T) {
			play(t, func(w *world) {
				w.deployed("web")
				slow := w.ask("web.test", "/")
				p := quieten(w).wantWaiting()
				w.pass(9 * time.Second)
				w.resume("web").wantOK()
				p.wantOK()
				w.ask("web.test", "/").wantTarget("web:80").done()
				w.pass(time.Hour)
				slow.wantUncut()
				slow.done()
			})
		})
	}
}

func TestResumeLeavesADeploysDrainAlone(t *testing.T) {
	play(t, func(w *world) {
		w.deployed("web", to("v1:80"))
		slow := w.ask("web.test", "/")
		p := w.pause("web", time.Minute, time.Minute).wantWaiting()
		d := w.deploy("web", to("v2:80"))
		w.resume("web").wantOK()
		p.wantOK()
		d.wantWaiting()
		slow.done()
		d.wantOK()
	})
}

func TestPauseCutsAtItsDrainTimeout(t *testing.T) {
	play(t, func(w *world) {
		w.deployed("web")
		slow := w.ask("web.test", "/")
		p := w.pause("web", 5*time.Second, time.Minute)
		w.pass(5 * time.Second)
		slow.wantCut(service.ErrDrained)
		p.wantOK()
		w.resume("web").wantOK()
	})
}

func TestDeployWhilePausedKeepsPaused(t *testing.T) {
	play(t, func(w *world) {
		w.deployed("web", to("v1:80"))
		w.pause("web", 0, time.Minute).wantOK()
		held := w.ask("web.test", "/").wantWaiting()
		w.deployed("web", to("v2:80"))
		held.wantWaiting()
		w.wantList("web web.test v2:80 paused")
		w.resume("web").wantOK()
		held.wantTarget("v2:80").done()
	})
}

func TestRestored(t *testing.T) {
	play(t, func(w *world) {
		paused, stopped, rollout := record("paused", "p:80"), record("stopped", "s:80"), record("rollout", "o:80", "o2:80")
		paused.PauseController.State, paused.PauseController.FailAfter = 1, time.Minute
		stopped.PauseController.State, stopped.PauseController.StopMessage = 2, "closed"
		rollout.RolloutTargets = []string{"r:80"}
		rollout.Rollout = &rolloutAll
		w.restore(paused, record("running", "a:80"), stopped, rollout)

		w.wantList("paused paused.test p:80 paused; rollout rollout.test o:80,o2:80 running; running running.test a:80 running; stopped stopped.test s:80 stopped")
		w.ask("running.test", "/").wantTarget("a:80").done()
		held := w.ask("paused.test", "/").wantWaiting()
		q := w.ask("stopped.test", "/").wantStatus(503)
		if q.verdict.Message != "closed" {
			t.Errorf("the message is %q", q.verdict.Message)
		}
		w.ask("rollout.test", "/", visitor("x")).wantTarget("r:80").done()
		w.ask("rollout.test", "/").wantTarget("o:80").done()
		if w.disk.saves != 0 {
			t.Error("what was restored is saved")
		}
		w.resume("stopped").wantOK()
		w.ask("stopped.test", "/").wantTarget("s:80").done()
		w.resume("paused").wantOK()
		held.wantTarget("p:80").done()

		w.app("o2:80").set(refused)
		w.pass(time.Second)
		w.ask("rollout.test", "/").wantTarget("o:80").done()
		w.ask("rollout.test", "/").wantTarget("o:80").done()
		if w.app("a:80").times() != 0 {
			t.Error("a lone target is checked")
		}
	})
}

// What is on disk after an order is what a restart begins with.
func TestPauseAndStopSurviveARestart(t *testing.T) {
	play(t, func(w *world) {
		w.deployed("a")
		w.deployed("b")
		w.pause("a", 0, 7*time.Second).wantOK()
		w.stop("b", "closed").wantOK()
		after := newWorld(w.T)
		records := w.disk.records()
		after.restore(records["a"], records["b"])
		held := after.ask("a.test", "/").wantWaiting()
		after.pass(7 * time.Second)
		held.wantStatus(504)
		if q := after.ask("b.test", "/").wantStatus(503); q.verdict.Message != "closed" {
			t.Errorf("the message is %q", q.verdict.Message)
		}
		after.resume("a").wantOK()
		after.end()
	})
}

func TestRestoredTargetThatCannotBeConnected(t *testing.T) {
	play(t, func(w *world) {
		w.app("odd:80").refuse = errors.New("odd:80 is no target")
		w.restore(record("odd", "odd:80"), record("fine", "fine:80"))
		w.ask("odd.test", "/").wantStatus(503)
		w.ask("fine.test", "/").wantTarget("fine:80").done()
		w.deployed("odd", to("even:80"))
		w.ask("odd.test", "/").wantTarget("even:80").done()
	})
}

// One of two restored services that want one host has it; both take orders,
// and the other gets it when it is free.
func TestRestoredServicesThatWantOneHost(t *testing.T) {
	play(t, func(w *world) {
		one, two := record("one", "a:80"), record("two", "b:80")
		two.Options.Hosts = []string{"one.test", "two.test"}
		w.restore(one, two)
		w.ask("one.test", "/").wantTarget("a:80").done()
		w.ask("two.test", "/").wantTarget("b:80").done()
		w.pause("two", 0, time.Minute).wantOK()
		w.resume("two").wantOK()
		w.deploy("two", hosts("one.test", "two.test")).wantError("host is used by another service", "one")
	})
}
