package registry_test

import (
	"errors"
	"testing"
	"time"

	"kamal-proxy/actors/registry"
)

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
