package registry_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"kamal-proxy/actors/registry"
	"kamal-proxy/actors/service"
	"kamal-proxy/actors/system"
)

// fail ends a request that its target did not answer.
func (q *request) fail(why string) {
	q.w.Helper()
	q.verdict.Lease.Failed(why)
	q.done()
}

// serve ends a request that its target has answered.
func (q *request) serve() {
	q.w.Helper()
	q.verdict.Lease.Answered()
	q.done()
}

// conditions are those of a service's targets, in short.
func (w *world) conditions(name string) []service.Condition {
	w.Helper()
	q := registry.Inspect{Service: name, Inspect: service.Inspect{Reply: system.NewReply[[]service.Condition]()}}
	w.registry.Tell(q)
	all, err := q.Wait(w.Context(), w.registry.Stopped())
	if err != nil {
		w.Fatal(err)
	}
	return all
}

func (w *world) wantHealth(name, want string) {
	w.Helper()
	var got []string
	for _, c := range w.conditions(name) {
		got = append(got, fmt.Sprint(c.Target, " ", c.Health))
	}
	if s := strings.Join(got, ", "); s != want {
		w.Errorf("the health of %s is %q, want %q", name, s, want)
	}
}

// ask asks n times and returns how often each target was chosen; each answers.
func (w *world) chosen(n int, facts ...fact) map[string]int {
	w.Helper()
	got := map[string]int{}
	for range n {
		q := w.ask("web.test", "/", facts...)
		got[q.verdict.TargetName]++
		q.serve()
	}
	return got
}

// eject makes a target fail until it is left out.
func (w *world) eject(name string) {
	w.Helper()
	for range 100 {
		q := w.ask("web.test", "/")
		if q.verdict.TargetName != name {
			q.serve()
			continue
		}
		q.fail("refused")
		if slices.ContainsFunc(w.conditions("web"), func(c service.Condition) bool {
			return c.Target == name && c.Health == service.Ejected
		}) {
			return
		}
	}
	w.Fatalf("%s is not ejected", name)
}

func TestATargetThatKeepsFailingIsLeftOutForAWhile(t *testing.T) {
	play(t, func(w *world) {
		w.deployed("web", to("a:80", "b:80"))
		w.eject("b:80")
		w.wantHealth("web", "a:80 ok, b:80 ejected")
		w.wantLogged("Target keeps failing", "b:80", "refused")
		if got := w.chosen(20); got["b:80"] != 0 {
			t.Errorf("it is asked all the same: %v", got)
		}
		w.pass(5 * time.Second)
		w.wantHealth("web", "a:80 ok, b:80 returning")
		if got := w.chosen(100); got["b:80"] == 0 || got["b:80"] > 15 {
			t.Errorf("at first it gets %v of 100", got)
		}
		w.pass(5 * time.Second)
		if got := w.chosen(100); got["b:80"] < 20 || got["b:80"] > 45 {
			t.Errorf("after five seconds it gets %v of 100", got)
		}
		w.pass(5 * time.Second)
		w.wantHealth("web", "a:80 ok, b:80 ok")
		if got := w.chosen(100); got["b:80"] != 50 {
			t.Errorf("in the end it gets %v of 100", got)
		}
		if w.ejected != 1 {
			t.Errorf("%d ejections are counted", w.ejected)
		}
	})
}

func TestATargetThatFailsOnItsWayBackIsLeftOutForLonger(t *testing.T) {
	play(t, func(w *world) {
		w.deployed("web", to("a:80", "b:80"))
		w.eject("b:80")
		for _, d := range []time.Duration{5, 10, 20, 40, 60, 60} {
			w.pass(d*time.Second - 1)
			w.wantHealth("web", "a:80 ok, b:80 ejected")
			w.pass(1)
			w.wantHealth("web", "a:80 ok, b:80 returning")
			w.eject("b:80")
		}
	})
}

// A request that was sent before the ejection says nothing new when it fails.
func TestLateFailuresEjectNobody(t *testing.T) {
	play(t, func(w *world) {
		w.deployed("web", to("a:80", "b:80"))
		var late *request
		for late == nil {
			if q := w.ask("web.test", "/"); q.verdict.TargetName == "b:80" {
				late = q
			} else {
				q.serve()
			}
		}
		w.eject("b:80")
		w.pass(6 * time.Second)
		late.fail("it took too long")
		w.wantHealth("web", "a:80 ok, b:80 returning")
	})
}

func TestTheLastOneIsNotLeftOut(t *testing.T) {
	play(t, func(w *world) {
		w.deployed("web", to("a:80", "b:80"))
		w.eject("b:80")
		for range 20 {
			w.ask("web.test", "/").wantTarget("a:80").fail("refused, too")
		}
		w.wantHealth("web", "a:80 failing, b:80 ejected")
	})
}

func TestReadersMayAllBeLeftOut(t *testing.T) {
	play(t, func(w *world) {
		w.deployed("web", to("w:80"), readers("r:80"))
		for range 5 {
			w.ask("web.test", "/").wantTarget("r:80").fail("refused")
		}
		w.wantHealth("web", "w:80 ok, r:80 ejected")
		w.ask("web.test", "/").wantTarget("w:80").serve()
		for range 20 {
			w.ask("web.test", "/", method("POST")).wantTarget("w:80").fail("refused")
		}
		w.wantHealth("web", "w:80 failing, r:80 ejected")
	})
}

func TestALoneTargetThatFailsIsListed(t *testing.T) {
	play(t, func(w *world) {
		w.deployed("web", to("a:80"))
		w.wantHealth("web", "a:80 ok")
		began := time.Now()
		for i := range 30 {
			w.ask("web.test", "/").wantTarget("a:80").fail(fmt.Sprint("failure ", i))
			w.pass(time.Second)
		}
		q := w.ask("web.test", "/").wantTarget("a:80")
		c := w.conditions("web")[0]
		if c.Health != service.Failing || c.Since == nil || !c.Since.Equal(began) || c.Error != "failure 29" || c.Failures != 30 || c.InFlight != 1 {
			t.Errorf("it is listed as %+v, failing since %v", c, c.Since)
		}
		q.serve()
		if c := w.conditions("web")[0]; c.Health != service.Well || c.Error != "" || c.Since != nil || c.InFlight != 0 {
			t.Errorf("it answers, and is listed as %+v", c)
		}
	})
}

func TestChecksThatFailAreListed(t *testing.T) {
	play(t, func(w *world) {
		w.deployed("web", to("a:80", "b:80"))
		w.app("b:80").set(refused)
		w.pass(time.Second)
		c := w.conditions("web")[1]
		if c.Health != service.Unhealthy || c.Since == nil || c.Error != refused.String() {
			t.Errorf("it is listed as %+v", c)
		}
		w.app("b:80").set(ok)
		w.pass(time.Second)
		w.wantHealth("web", "a:80 ok, b:80 returning")
		w.pass(10 * time.Second)
		w.wantHealth("web", "a:80 ok, b:80 ok")
	})
}
