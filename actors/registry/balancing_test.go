package registry_test

import (
	"strings"
	"testing"
	"time"

	"kamal-proxy/actors/service"
	"kamal-proxy/actors/spec"
)

func sticky(cookie string) fact { return func(r *service.Route) { r.Sticky = cookie } }

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
		for range 4 { // failures, for which nobody moves
			q = w.ask("web.test", "/", sticky(cookie)).wantTarget("a:80").again(true, sticky(cookie))
			if q.verdict.TargetName == "a:80" || q.verdict.Stick != "" {
				t.Errorf("a client whose target fails goes to %s with %q", q.verdict.TargetName, q.verdict.Stick)
			}
			q.serve()
		}
		q = w.ask("web.test", "/", sticky(cookie)).wantTarget("a:80").again(true, sticky(cookie))
		if q.verdict.TargetName == "a:80" || q.verdict.Stick == "" || q.verdict.Stick == cookie {
			t.Errorf("a client whose target is left out goes to %s with %q", q.verdict.TargetName, q.verdict.Stick)
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
