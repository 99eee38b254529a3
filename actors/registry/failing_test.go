package registry_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"kamal-proxy/actors/registry"
	"kamal-proxy/actors/service"
	"kamal-proxy/actors/spec"
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

// again asks for another target; where there is none, the request ends.
func (q *request) again(unsent bool, facts ...fact) *request {
	q.w.Helper()
	r := service.NewRoute()
	r.Host, r.Path, r.Method, r.Cut = q.host, q.path, "GET", q.cutOff
	for _, f := range facts {
		f(r)
	}
	q.verdict.Lease.Again(r, "refused", unsent)
	v, err := r.Await(q.w.Context(), nil)
	q.w.settle()
	if err != nil || v.Action != service.Forward {
		q.done()
		q.verdict, q.err = v, err
		return q
	}
	q.verdict = v
	return q
}

func sticky(cookie string) fact { return func(r *service.Route) { r.Sticky = cookie } }

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

func TestAgainGoesToAnotherTarget(t *testing.T) {
	play(t, func(w *world) {
		w.deployed("web", to("a:80", "b:80", "c:80"))
		q := w.ask("web.test", "/").wantTarget("a:80").again(false).wantTarget("b:80").again(true).wantTarget("c:80")
		for i, c := range w.conditions("web") {
			if want := map[int]int{2: 1}[i]; c.InFlight != want {
				t.Errorf("%s has %d requests under way, want %d", c.Target, c.InFlight, want)
			}
		}
		q.again(true).wantStatus(502) // three targets are enough
		w.wantHealth("web", "a:80 failing, b:80 failing, c:80 failing")
	})
}

func TestAgainOfAReaderGoesToAWriter(t *testing.T) {
	play(t, func(w *world) {
		w.deployed("web", to("w:80"), readers("r:80"))
		w.ask("web.test", "/").wantTarget("r:80").again(false).wantTarget("w:80").serve()
		w.ask("web.test", "/", method("POST")).wantTarget("w:80").again(true, method("POST")).wantStatus(502)
	})
}

func TestAgainOfALoneTargetIsItsFailure(t *testing.T) {
	play(t, func(w *world) {
		w.deployed("web", to("a:80"))
		w.ask("web.test", "/").again(true).wantStatus(502)
		if c := w.conditions("web")[0]; c.Health != service.Failing || c.Failures != 1 {
			t.Errorf("it is listed as %+v", c)
		}
	})
}

func TestAgainIsBounded(t *testing.T) {
	play(t, func(w *world) {
		w.deployed("web", to("a:80", "b:80"))
		retried := 0
		for range 600 { // one of three requests fails, which ejects nobody
			if q := w.ask("web.test", "/").again(true); q.leased() {
				retried++
				q.serve()
			}
			w.ask("web.test", "/").serve()
			w.ask("web.test", "/").serve()
		}
		w.wantHealth("web", "a:80 ok, b:80 ok")
		if want := 100 + 600*3/5; retried < want-2 || retried > want+2 {
			t.Errorf("%d of 1800 requests were sent again, want %d", retried, want)
		}
	})
}

// While a deploy drains, what the new target refuses goes to the old one, and
// the drain waits for it.
func TestAgainGoesBackWhileTheOldTargetIsWarm(t *testing.T) {
	play(t, func(w *world) {
		w.deployed("web", to("old:80"))
		slow := w.ask("web.test", "/").wantTarget("old:80")
		d := w.deploy("web", to("new:80"), draining(10*time.Second))
		w.ask("web.test", "/").wantTarget("new:80").again(false).wantStatus(502) // it may have been read
		back := w.ask("web.test", "/").wantTarget("new:80").again(true).wantTarget("old:80")
		slow.serve()
		d.wantWaiting()
		back.serve()
		d.wantOK()
		w.ask("web.test", "/").wantTarget("new:80").again(true).wantStatus(502)
	})
}

func TestNothingGoesBackWhenTheDrainIsOver(t *testing.T) {
	play(t, func(w *world) {
		w.deployed("web", to("old:80"))
		stuck := w.ask("web.test", "/")
		stuck.stubborn = true
		w.deploy("web", to("new:80"), draining(time.Second))
		w.pass(time.Second)
		w.ask("web.test", "/").wantTarget("new:80").again(true).wantStatus(502)
		stuck.done()
	})
}

// What was cut off is over, though another target would take it.
func TestNothingIsSentAgainThatWasCutOff(t *testing.T) {
	play(t, func(w *world) {
		w.deployed("web", to("old:80"))
		stuck := w.ask("web.test", "/")
		stuck.stubborn = true
		w.deploy("web", to("new:80"), draining(time.Second))
		w.pass(time.Second)
		stuck.wantCut(service.ErrDrained)
		stuck.again(true).wantStatus(502)
	})
}

// What an old target does not answer any more goes to the new one.
func TestAgainGoesOnToTheNewTarget(t *testing.T) {
	play(t, func(w *world) {
		w.deployed("web", to("old:80"))
		q := w.ask("web.test", "/")
		d := w.deploy("web", to("new:80"), draining(time.Minute)).wantWaiting()
		q.again(false).wantTarget("new:80")
		d.wantOK()
		q.serve()
	})
}

// A client that leaves while it is looked for another target loses no lease.
func TestAgainThatIsAbandoned(t *testing.T) {
	play(t, func(w *world) {
		w.deployed("web", to("a:80", "b:80"))
		q := w.ask("web.test", "/")
		r := service.NewRoute()
		r.Host, r.Path, r.Method, r.Cut = q.host, q.path, "GET", q.cutOff
		q.verdict.Lease.Again(r, "refused", true)
		q.done()
		w.settle()
		if v, err := r.Await(w.Context(), nil); err == nil && v.Lease != nil {
			v.Lease.Finish()
		}
		w.settle()
		for _, c := range w.conditions("web") {
			if c.InFlight != 0 {
				t.Errorf("%s has %d requests under way", c.Target, c.InFlight)
			}
		}
	})
}

func TestLeast(t *testing.T) {
	play(t, func(w *world) {
		w.deployed("web", to("a:80", "b:80"), options(func(o *spec.Options) { o.LoadBalancing = spec.Least }))
		var busy []*request
		for range 10 {
			busy = append(busy, w.ask("web.test", "/"))
		}
		count := map[string]int{}
		for _, q := range busy {
			count[q.verdict.TargetName]++
		}
		if count["a:80"] != 5 || count["b:80"] != 5 {
			t.Errorf("ten requests went to %v", count)
		}
		for _, q := range busy {
			if q.verdict.TargetName == "b:80" {
				q.serve()
			}
		}
		for range 5 {
			q := w.ask("web.test", "/").wantTarget("b:80")
			defer q.done()
		}
		for _, q := range busy {
			if q.leased() {
				q.serve()
			}
		}
	})
}

func TestStickyClients(t *testing.T) {
	play(t, func(w *world) {
		stick := options(func(o *spec.Options) { o.Sticky = true })
		w.deployed("web", to("a:80", "b:80", "c:80"), stick)
		q := w.ask("web.test", "/").wantTarget("a:80")
		cookie := q.verdict.Stick
		if cookie == "" || strings.Contains(cookie, "80") {
			t.Errorf("the cookie is %q", cookie)
		}
		q.serve()
		for range 4 {
			q := w.ask("web.test", "/", sticky(cookie)).wantTarget("a:80")
			if q.verdict.Stick != "" {
				t.Errorf("the cookie is given again: %q", q.verdict.Stick)
			}
			q.serve()
		}
		q = w.ask("web.test", "/", sticky(cookie)).again(true, sticky(cookie))
		if q.verdict.TargetName == "a:80" || q.verdict.Stick == "" || q.verdict.Stick == cookie {
			t.Errorf("a client whose target fails goes to %s with %q", q.verdict.TargetName, q.verdict.Stick)
		}
		other, moved := q.verdict.TargetName, q.verdict.Stick
		q.serve()
		w.ask("web.test", "/", sticky(moved)).wantTarget(other).serve()

		w.deployed("other", to("a:80"), stick)
		q = w.ask("other.test", "/")
		if q.verdict.Stick == cookie {
			t.Error("two services call a target the same: so can anybody who knows how")
		}
		q.serve()

		// The next deploy, and a restart, know the same names.
		w.deployed("web", to("c:80", "a:80"), stick)
		w.ask("web.test", "/", sticky(cookie)).wantTarget("a:80").serve()
		kept := w.disk.records()["web"]
		if kept.Options.StickyKey == "" {
			t.Fatal("no key is kept")
		}
		w.restore(func() *spec.Record {
			r := kept.Clone()
			r.Name = "after"
			r.Options.Hosts = []string{"after.test"}
			return r
		}())
		w.ask("after.test", "/", sticky(cookie)).wantTarget("a:80").serve()
		w.ask("after.test", "/", sticky(cookie)).wantTarget("a:80").serve()
	})
}

func TestStickyRolloutKeepsBothNames(t *testing.T) {
	play(t, func(w *world) {
		w.deployed("web", to("a:80", "b:80"), options(func(o *spec.Options) { o.Sticky = true }))
		w.deploy("web", to("x:80", "y:80"), toRollout).wantOK()
		w.split("web", 0, "anna").wantOK()
		q := w.ask("web.test", "/")
		active, cookie := q.verdict.TargetName, q.verdict.Stick
		q.serve()
		q = w.ask("web.test", "/", visitor("anna"), sticky(cookie))
		rollout := q.verdict.TargetName
		if cookie = q.verdict.Stick; rollout != "x:80" && rollout != "y:80" {
			t.Errorf("anna goes to %s", rollout)
		}
		q.serve()
		for range 3 {
			w.ask("web.test", "/", sticky(cookie)).wantTarget(active).serve()
			w.ask("web.test", "/", visitor("anna"), sticky(cookie)).wantTarget(rollout).serve()
		}
	})
}

func TestMaxInFlight(t *testing.T) {
	play(t, func(w *world) {
		w.deployed("web", to("a:80", "b:80"))
		var busy []*request
		for range maxInFlight {
			busy = append(busy, w.ask("web.test", "/"))
		}
		q := w.ask("web.test", "/").wantStatus(503)
		if q.verdict.RetryAfter != time.Second {
			t.Errorf("it may come again after %v", q.verdict.RetryAfter)
		}
		w.deployed("other")
		w.ask("other.test", "/").wantTarget("other:80").serve()
		busy[0].again(true).wantTarget("b:80").serve() // which takes no more room
		w.ask("web.test", "/").serve()
		for _, q := range busy[1:] {
			q.serve()
		}
	})
}
