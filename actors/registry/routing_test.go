package registry_test

import (
	"fmt"
	"testing"
	"time"

	"kamal-proxy/actors/service"
	"kamal-proxy/actors/spec"
)

// wantShare asks as often as the counts say together, and wants the targets to
// have been chosen so often each. The requests end at once.
func (w *world) wantShare(share ...any) {
	w.Helper()
	w.wantShareOf(nil, share...)
}

func (w *world) wantShareOf(facts []fact, share ...any) {
	w.Helper()
	want, total := map[string]int{}, 0
	for i := 0; i < len(share); i += 2 {
		want[share[i].(string)] = share[i+1].(int)
		total += share[i+1].(int)
	}
	got := map[string]int{}
	for range total {
		q := w.ask("web.test", "/", facts...)
		got[q.verdict.TargetName]++
		q.done()
	}
	if fmt.Sprint(got) != fmt.Sprint(want) {
		w.Errorf("the targets were chosen so often: %v, want %v", got, want)
	}
}

func TestRoundRobin(t *testing.T) {
	play(t, func(w *world) {
		w.deployed("web", to("a:80", "b:80", "c:80"))
		for _, want := range []string{"a:80", "b:80", "c:80", "a:80"} {
			w.ask("web.test", "/").wantTarget(want).done()
		}
	})
}

func TestTargetThatLeavesAndReturns(t *testing.T) {
	play(t, func(w *world) {
		w.deployed("web", to("a:80", "b:80", "c:80"))
		w.app("b:80").set(healthcheckFailed)
		w.pass(time.Second)
		w.wantShare("a:80", 2, "c:80", 2)
		w.app("a:80").set(refused)
		w.app("c:80").set(refused)
		w.pass(time.Second)
		w.ask("web.test", "/").wantStatus(503)
		w.app("b:80").set(ok)
		w.pass(time.Second)
		w.wantShare("b:80", 3)
		w.app("a:80").set(ok)
		w.app("c:80").set(ok)
		w.pass(11 * time.Second)
		w.wantShare("a:80", 2, "b:80", 2, "c:80", 2)
	})
}

func TestAllTargetsMustBeHealthyToFinishADeploy(t *testing.T) {
	play(t, func(w *world) {
		w.app("b:80").takes = 2 * time.Second
		w.app("r:80").takes = 4 * time.Second
		d := w.deploy("web", to("a:80", "b:80"), readers("r:80"))
		w.pass(3 * time.Second)
		d.wantWaiting()
		w.pass(time.Second)
		d.wantOK()
	})
}

func TestLoneTargetIsNeverTakenOut(t *testing.T) {
	play(t, func(w *world) {
		w.deployed("web")
		w.app("web:80").set(refused)
		w.pass(time.Minute)
		w.ask("web.test", "/").wantTarget("web:80").done()
	})
}

func TestReadersAndWriters(t *testing.T) {
	play(t, func(w *world) {
		w.deployed("web", to("w:80"), readers("r1:80", "r2:80"))
		w.wantShare("r1:80", 2, "r2:80", 2)
		w.ask("web.test", "/", method("HEAD")).wantTarget("r1:80").done()

		post := w.ask("web.test", "/", method("POST")).wantTarget("w:80")
		if !post.verdict.KeepToWriter {
			t.Error("who has written is not kept to the writers")
		}
		post.done()
		now := time.Now().UnixMilli()
		w.ask("web.test", "/", writer(fmt.Sprint(now+1000))).wantTarget("w:80").done()
		past := w.ask("web.test", "/", writer(fmt.Sprint(now))).wantTarget("r2:80")
		if past.verdict.KeepToWriter {
			t.Error("a read keeps to the writers")
		}
		past.done()
		w.ask("web.test", "/", writer("rubbish")).wantTarget("r1:80").done()
		w.ask("web.test", "/", upgrade).wantTarget("w:80").done()

		w.app("r1:80").set(refused)
		w.app("r2:80").set(refused)
		w.pass(time.Second)
		w.ask("web.test", "/").wantTarget("w:80").done()
	})
}

func TestReadersTakeWebsocketsWhenTold(t *testing.T) {
	play(t, func(w *world) {
		w.deployed("web", to("w:80"), readers("r:80"), options(func(o *spec.Options) { o.ReadTargetsAcceptWebsockets = true }))
		w.ask("web.test", "/", upgrade).wantTarget("r:80").done()
	})
}

func TestNoWriterCookieWithoutAffinityOrReaders(t *testing.T) {
	play(t, func(w *world) {
		w.deployed("web", to("w:80"), readers("r:80"), options(func(o *spec.Options) { o.WriterAffinityTimeout = 0 }))
		post := w.ask("web.test", "/", method("POST")).wantTarget("w:80")
		w.deploy("web", to("w:80"))
		alone := w.ask("web.test", "/", method("POST")).wantTarget("w:80")
		if post.verdict.KeepToWriter || alone.verdict.KeepToWriter {
			t.Error("a cookie is set")
		}
		post.done()
		alone.done()
	})
}

func TestRolloutSplit(t *testing.T) {
	play(t, func(w *world) {
		w.deployed("web", to("old:80"))
		w.split("web", 10).wantError("rollout target not set")
		w.deployed("web", toRollout, to("new:80"))
		w.ask("web.test", "/", visitor("anna")).wantTarget("old:80").done()
		w.split("web", 0, "anna").wantOK()
		w.ask("web.test", "/", visitor("anna")).wantTarget("new:80").done()
		w.ask("web.test", "/", visitor("berta")).wantTarget("old:80").done()
		w.ask("web.test", "/").wantTarget("old:80").done()
		w.split("web", 100).wantOK()
		w.ask("web.test", "/", visitor("berta")).wantTarget("new:80").done()
		w.ask("web.test", "/").wantTarget("old:80").done()

		w.deployed("web", to("newer:80")) // a later deploy keeps the rollout
		w.ask("web.test", "/", visitor("berta")).wantTarget("new:80").done()
		w.ask("web.test", "/").wantTarget("newer:80").done()
		r := w.disk.records()["web"]
		if r.Rollout == nil || r.Rollout.Percentage != 100 || fmt.Sprint(r.RolloutTargets) != "[new:80]" {
			t.Errorf("on disk: %v, %v", r.Rollout, r.RolloutTargets)
		}
		w.give("web", func(a *service.Asker) service.Order { return &service.Split{Asker: a} }).wantOK()
		w.ask("web.test", "/", visitor("berta")).wantTarget("newer:80").done()
	})
}

func TestRolloutDeployDrainsTheRolloutBefore(t *testing.T) {
	play(t, func(w *world) {
		w.deployed("web", to("old:80"))
		w.deployed("web", toRollout, to("r1:80"))
		w.split("web", 100).wantOK()
		slow := w.ask("web.test", "/", visitor("x")).wantTarget("r1:80")
		d := w.deploy("web", toRollout, to("r2:80")).wantWaiting()
		w.ask("web.test", "/", visitor("x")).wantTarget("r2:80").done()
		slow.done()
		d.wantOK()
	})
}

func TestPrefixIsStripped(t *testing.T) {
	play(t, func(w *world) {
		w.deployed("api", hosts("a.test"), at("/api"))
		w.deployed("raw", hosts("a.test"), at("/raw"), options(func(o *spec.Options) { o.StripPrefix = false }))
		w.deployed("root", hosts("a.test"))
		for path, want := range map[string]string{"/api": "/api", "/api/x": "/api", "/raw/x": "", "/apis": "", "/": ""} {
			q := w.ask("a.test", path)
			if q.verdict.Prefix != want {
				t.Errorf("from %s the prefix %q is stripped, want %q", path, q.verdict.Prefix, want)
			}
			q.done()
		}
	})
}

func TestKnownHostWithoutThePathFallsToNobody(t *testing.T) {
	play(t, func(w *world) {
		w.deployed("api", hosts("a.test"), at("/api"))
		w.deployed("any", hosts(""))
		q := w.ask("a.test", "/").wantStatus(404)
		if q.verdict.Service != "" {
			t.Error("the page is a service's")
		}
		w.ask("b.test", "/").wantTarget("any:80").done()
	})
}

func TestRedirects(t *testing.T) {
	play(t, func(w *world) {
		w.deployed("web", hosts("a.test", "www.a.test"), withTLS, canonical("a.test"))
		w.deployed("path", hosts("a.test"), at("/path"))
		w.deployed("plain", hosts("b.test"))
		for _, c := range []struct {
			q    *request
			want string
		}{
			{w.ask("a.test", "/"), "is redirected to https://a.test"},
			{w.ask("www.a.test", "/"), "is redirected to https://a.test"},
			{w.ask("www.a.test", "/", overTLS), "is redirected to https://a.test"},
			{w.ask("a.test", "/", overTLS), "goes to web:80"},
			{w.ask("a.test", "/path"), "is redirected to https://a.test"}, // as its root says
			{w.ask("a.test", "/path", overTLS), "goes to path:80"},
			{w.ask("b.test", "/"), "goes to plain:80"},
			{w.ask("b.test", "/", overTLS), "is answered 503"},
		} {
			if c.q.String() != c.want {
				t.Errorf("a request for %s%s %s, it %s", c.q.host, c.q.path, c.q, c.want)
			}
			if c.q.leased() {
				c.q.done()
			}
		}
	})
}

func TestRequestThatIsAbandonedLeavesNothingBehind(t *testing.T) {
	play(t, func(w *world) {
		w.deployed("web", to("v1:80"))
		for range 100 {
			q := w.start("web.test", "/")
			go q.leave()
		}
		w.settle()
		for _, q := range w.requests {
			if q.leased() {
				q.finish()
			}
		}
		w.settle()
		w.deploy("web", to("v2:80")).wantOK() // nothing is in flight
	})
}
