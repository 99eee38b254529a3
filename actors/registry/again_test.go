package registry_test

import (
	"testing"
	"time"

	"kamal-proxy/actors/service"
)

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
