package registry_test

import (
	"context"
	"testing"
	"time"

	"kamal-proxy/actors/registry"
	"kamal-proxy/actors/service"
	"kamal-proxy/actors/spec"
	"kamal-proxy/actors/system"
)

// link stands for the socket between two processes.
type link struct {
	to      *world
	breaks  bool // the next Follow panics
	passed  []registry.Following
	refused []error
}

// Follow implements registry.Predecessor.
func (l *link) Follow(f registry.Following, done func()) {
	if l.breaks {
		panic("the link is broken")
	}
	l.passed = append(l.passed, f)
	m := registry.Follow{Reply: system.NewReply[struct{}](), Following: f}
	l.to.registry.Tell(m)
	go func() {
		if _, err := m.Wait(context.Background(), l.to.registry.Stopped()); err != nil {
			l.to.mu.Lock()
			l.refused = append(l.refused, err)
			l.to.mu.Unlock()
		}
		done()
	}()
}

// succeed hands a world over to a new one.
func succeed(old *world) (*world, *link) {
	old.Helper()
	h := old.handOver().wantDone()
	l := &link{to: old}
	w := newSuccessor(old.T, l, old.mu)
	w.restore(h.records...)
	old.tell(registry.Yield{})
	return w, l
}

// during is what happens in two processes, of which one has taken over.
func during(t *testing.T, before, after func(old, w *world)) {
	t.Helper()
	play(t, func(old *world) {
		before(old, nil)
		w, l := succeed(old)
		after(old, w)
		w.end()
		for _, err := range l.refused {
			t.Errorf("the old process refuses to follow: %v", err)
		}
	})
}

func TestDeployReachesBothProcesses(t *testing.T) {
	var slow, tunnel, late *request
	during(t, func(old, _ *world) {
		old.deployed("web", to("v1:80"), hosts("web.test", "www.test"))
		slow, late = old.ask("web.test", "/"), old.ask("web.test", "/ws", upgrade)
		tunnel = old.ask("web.test", "/ws", upgrade).upgraded()
	}, func(old, w *world) {
		w.ask("web.test", "/").wantTarget("v1:80").done()
		tunnel.wantUncut()
		d := w.deploy("web", to("v2:80"), hosts("web.test", "new.test")).wantWaiting()
		old.ask("web.test", "/").wantTarget("v2:80").done()
		old.ask("new.test", "/").wantTarget("v2:80").done()
		old.ask("www.test", "/").wantStatus(404)
		if old.app("v2:80").times() != 0 {
			t.Error("the old process checks the health, too")
		}
		tunnel.wantCut(service.ErrReplaced)
		late.upgraded().wantCut(service.ErrReplaced)
		slow.wantUncut()
		d.wantWaiting()
		slow.done()
		d.wantOK().wantStages("healthy switched draining drained")
		if old.app("v1:80").closed != 1 {
			t.Error("the old process keeps the old target's connections")
		}
		old.wantList("web web.test,new.test v2:80 running")
		if old.disk.saves != 1 {
			t.Error("the old process writes the state file")
		}
	})
}

// Each process cuts off its own when the drain's time is up, and one that does
// not end is not waited for.
func TestDrainOfBothProcessesHasItsTime(t *testing.T) {
	var slow, stuck *request
	during(t, func(old, _ *world) {
		old.deployed("web", to("v1:80"))
		slow, stuck = old.ask("web.test", "/"), old.ask("web.test", "/")
		stuck.stubborn = true
	}, func(old, w *world) {
		d := w.deploy("web", to("v2:80"), draining(10*time.Second)).wantWaiting()
		w.pass(10*time.Second - 1)
		slow.wantUncut()
		w.pass(1)
		slow.wantCut(service.ErrDrained)
		stuck.wantCut(service.ErrDrained)
		d.wantWaiting()
		w.pass(time.Second)
		d.wantOK()
		stuck.done()
	})
}

func TestGateReachesBothProcesses(t *testing.T) {
	var slow *request
	during(t, func(old, _ *world) {
		old.deployed("web")
		slow = old.ask("web.test", "/")
	}, func(old, w *world) {
		p := w.pause("web", time.Hour, time.Hour).wantWaiting()
		held := old.ask("web.test", "/").wantWaiting()
		w.resume("web").wantOK()
		p.wantOK()
		old.settle()
		held.wantTarget("web:80").done()
		slow.wantUncut()

		p = w.pause("web", time.Hour, 5*time.Second).wantWaiting()
		held = old.ask("web.test", "/").wantWaiting()
		slow.done()
		p.wantOK()
		w.pass(5 * time.Second)
		held.wantStatus(504)
		held = old.ask("web.test", "/").wantWaiting()
		w.stop("web", "back at noon").wantOK()
		old.settle()
		if held.wantStatus(503).verdict.Message != "back at noon" {
			t.Errorf("the page says %q", held.verdict.Message)
		}
		old.ask("web.test", "/").wantStatus(503)
		w.resume("web").wantOK()
		old.ask("web.test", "/").wantTarget("web:80").done()
	})
}

func TestRolloutReachesBothProcesses(t *testing.T) {
	during(t, func(old, _ *world) { old.deployed("web") }, func(old, w *world) {
		w.deploy("web", toRollout, to("next:80")).wantOK()
		old.ask("web.test", "/", visitor("me")).wantTarget("web:80").done()
		w.split("web", 0, "me").wantOK()
		on := old.ask("web.test", "/", visitor("me")).wantTarget("next:80")
		old.ask("web.test", "/", visitor("you")).wantTarget("web:80").done()
		d := w.deploy("web", toRollout, to("better:80")).wantWaiting()
		old.ask("web.test", "/", visitor("me")).wantTarget("better:80").done()
		on.done()
		d.wantOK()
		w.give("web", func(a *service.Asker) service.Order { return &service.Split{Asker: a} }).wantOK()
		old.ask("web.test", "/", visitor("me")).wantTarget("web:80").done()
	})
}

func TestRemoveReachesBothProcesses(t *testing.T) {
	var slow *request
	during(t, func(old, _ *world) {
		old.deployed("web")
		slow = old.ask("web.test", "/")
	}, func(old, w *world) {
		w.pause("web", 0, time.Hour).wantOK()
		slow.wantCut(service.ErrDrained)
		w.resume("web")
		slow = old.ask("web.test", "/")
		w.pause("web", time.Hour, time.Hour)
		held := old.ask("web.test", "/").wantWaiting()
		r := w.remove("web", time.Minute).wantWaiting()
		held.wantStatus(404)
		old.ask("web.test", "/").wantStatus(404)
		w.wantList("")
		old.wantList("")
		slow.done()
		r.wantOK()
		if len(old.forgotten) != 1 {
			t.Error("the old process keeps the service")
		}
		w.deployed("web", to("v2:80"))
		old.ask("web.test", "/").wantTarget("v2:80").done()
	})
}

func TestNewServiceReachesBothProcesses(t *testing.T) {
	during(t, func(old, _ *world) {}, func(old, w *world) {
		w.deployed("web", to("v1:80", "v2:80"))
		w.ask("web.test", "/").wantTarget("v1:80").done()
		slow := old.ask("web.test", "/").wantTarget("v1:80")
		old.ask("web.test", "/").wantTarget("v2:80").done()
		d := w.deploy("web", to("v3:80")).wantWaiting()
		slow.done()
		d.wantOK()
		w.app("bad:80").set(refused)
		w.deploy("bad", within(0)).wantError("healthy")
		old.wantList("web web.test v3:80 running")
	})
}

// A successor may hand over to another while the first still drains.
func TestChainOfHandOvers(t *testing.T) {
	play(t, func(first *world) {
		first.deployed("web", to("v1:80"))
		first.deployed("gone")
		a, b := first.ask("web.test", "/"), first.ask("gone.test", "/")
		second, _ := succeed(first)
		c := second.ask("web.test", "/")
		third, _ := succeed(second)
		d := third.deploy("web", to("v2:80")).wantWaiting()
		r := third.remove("gone", time.Minute).wantWaiting()
		for _, w := range []*world{first, second, third} {
			w.ask("web.test", "/").wantTarget("v2:80").done()
			w.ask("gone.test", "/").wantStatus(404)
		}
		third.deployed("new")
		first.ask("new.test", "/").wantTarget("new:80").done()
		c.done()
		d.wantWaiting()
		a.done()
		d.wantOK()
		b.done()
		r.wantOK()
		third.end()
		second.end()
	})
}

// A hand-over waits for the drains that still wait for the process before.
func TestHandOverDuringADrainOfTheProcessBefore(t *testing.T) {
	var slow *request
	during(t, func(old, _ *world) {
		old.deployed("web", to("v1:80"))
		slow = old.ask("web.test", "/")
	}, func(old, w *world) {
		d := w.deploy("web", to("v2:80")).wantWaiting()
		h := w.handOver().wantWaiting()
		slow.done()
		d.wantOK()
		h.wantDone()
	})
}

// An end of the process before, or of the way to it, keeps nobody waiting.
func TestProcessBeforeIsGone(t *testing.T) {
	play(t, func(old *world) {
		old.deployed("web", to("v1:80"))
		slow := old.ask("web.test", "/")
		w, l := succeed(old)
		d := w.deploy("web", to("v2:80")).wantWaiting()
		old.shutdown()
		d.wantOK()
		l.breaks = true
		w.deployed("web", to("v3:80"))
		w.remove("web", 0).wantOK()
		slow.finish()
		w.end()
	})
}

// What was handed over serves as before, and a follower in a process that has
// not handed over is refused.
func TestFollowWithoutAHandOver(t *testing.T) {
	play(t, func(w *world) {
		w.deployed("web")
		l := &link{to: w}
		answered := false
		l.Follow(registry.Following{Service: "web", What: service.Paused, Record: &spec.Record{}}, func() { answered = true })
		w.settle()
		if !answered || len(l.refused) != 1 {
			t.Errorf("answered %v, refused with %v", answered, l.refused)
		}
		w.ask("web.test", "/").wantTarget("web:80").done()
	})
}
