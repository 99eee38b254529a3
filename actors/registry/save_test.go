package registry_test

import (
	"errors"
	"testing"
	"time"

	"kamal-proxy/actors/service"
)

var errDisk = errors.New("disk full")

func TestOrdersAreAnsweredAfterTheyAreSaved(t *testing.T) {
	play(t, func(w *world) {
		w.deployed("web", to("v1:80"))
		w.deployed("web", toRollout, to("r:80"))
		for name, give := range map[string]func() *order{
			"deploy":  func() *order { return w.deploy("web", to("v2:80")) },
			"pause":   func() *order { return w.pause("web", 0, time.Minute) },
			"stop":    func() *order { return w.stop("web", "") },
			"resume":  func() *order { return w.resume("web") },
			"rollout": func() *order { return w.deploy("web", toRollout, to("r2:80")) },
			"split":   func() *order { return w.split("web", 10) },
			"remove":  func() *order { return w.remove("web", 0) },
		} {
			if name == "remove" {
				continue
			}
			saved(w, name, give)
		}
		saved(w, "remove", func() *order { return w.remove("web", 0) })
	})
}

// saved wants an order to wait for its save, and to take effect then.
func saved(w *world, name string, give func() *order) {
	w.Helper()
	w.disk.held = true
	before := w.list()
	o := give()
	w.pass(time.Hour)
	o.wantWaiting()
	w.wantList(before)
	w.disk.release(nil)
	w.disk.held = false
	w.settle()
	o.wantOK()
}

func TestSaveThatFailsRefusesBeforeTheSwitch(t *testing.T) {
	play(t, func(w *world) {
		w.deployed("web", to("v1:80"))
		w.deployed("web", toRollout, to("r:80"))
		before := w.list()
		w.disk.err = errDisk
		for _, o := range []*order{
			w.deploy("web", to("v2:80"), hosts("elsewhere.test")), w.pause("web", 0, time.Minute), w.stop("web", ""),
			w.split("web", 100), w.deploy("web", toRollout, to("r2:80")), w.remove("web", 0), w.deploy("new"),
		} {
			o.wantErr(errDisk).wantError("nothing was changed")
		}
		w.wantList(before)
		w.ask("web.test", "/", visitor("x")).wantTarget("v1:80").done()
		w.ask("elsewhere.test", "/").wantStatus(404)
		w.ask("new.test", "/").wantStatus(404)
		if n := w.app("v2:80").closed; n != 1 {
			t.Errorf("the connections of the refused target were closed %d times", n)
		}
		w.disk.err = nil
		w.deployed("web", to("v2:80"))
		w.deployed("new")
		w.remove("web", 0).wantOK()
	})
}

// Two services' changes are on their way when a save fails: the one refuses
// its own, the other goes on, and what was refused is never on disk.
func TestSaveThatFailsRefusesNobodyElse(t *testing.T) {
	play(t, func(w *world) {
		w.deployed("a")
		w.deployed("b")
		w.deployed("c")
		w.disk.held = true
		a := w.stop("a", "")
		b := w.stop("b", "")
		c := w.remove("c", 0)
		w.disk.release(errDisk)
		w.settle()
		a.wantErr(errDisk)
		b.wantWaiting()
		c.wantWaiting()
		w.wantSaved("a running", "b running", "c running")
		w.disk.release(nil)
		w.settle()
		w.wantSaved("a running", "b stopped")
		b.wantOK()
		c.wantOK()
		w.wantList("a a.test a:80 running; b b.test b:80 stopped")
		if w.disk.writing != nil {
			t.Error("something is saved again")
		}
	})
}

// Both saves fail: both are refused, and the disk is as it was.
func TestSavesThatFailOneAfterTheOther(t *testing.T) {
	play(t, func(w *world) {
		w.deployed("a")
		w.deployed("b")
		w.disk.held = true
		a, b := w.stop("a", ""), w.stop("b", "")
		w.disk.release(errDisk)
		w.settle()
		w.disk.release(errDisk)
		w.settle()
		a.wantErr(errDisk)
		b.wantErr(errDisk)
		w.wantSaved("a running", "b running")
		for w.disk.writing != nil {
			w.disk.release(nil)
			w.settle()
		}
		w.wantSaved("a running", "b running")
	})
}

// A remove that waits for a change of its service which is then refused.
func TestRemoveBehindASaveThatFails(t *testing.T) {
	play(t, func(w *world) {
		w.deployed("a")
		w.deployed("b")
		w.disk.held = true
		a, r, b := w.stop("a", ""), w.remove("a", 0), w.stop("b", "")
		w.disk.release(errDisk)
		w.settle()
		a.wantErr(errDisk)
		w.wantSaved("a running", "b running")
		for w.disk.writing != nil {
			w.disk.release(nil)
			w.settle()
		}
		r.wantOK()
		b.wantOK()
		w.wantSaved("b stopped")
	})
}

// Many changes at once are few saves.
func TestChangesThatComeMeanwhileAreSavedTogether(t *testing.T) {
	play(t, func(w *world) {
		names := []string{"a", "b", "c", "d", "e", "f", "g", "h"}
		for _, name := range names {
			w.deployed(name)
		}
		saves := w.disk.saves
		w.disk.held = true
		var orders []*order
		for _, name := range names {
			orders = append(orders, w.stop(name, ""))
		}
		w.disk.release(nil)
		w.settle()
		w.disk.release(nil)
		w.settle()
		for _, o := range orders {
			o.wantOK()
		}
		if n := w.disk.saves - saves; n > len(names) {
			t.Errorf("%d changes took %d saves", len(names), n)
		}
	})
}

func TestChangesOfOneServiceAreSavedInTurn(t *testing.T) {
	play(t, func(w *world) {
		w.deployed("web")
		w.disk.held = true
		orders := []*order{w.pause("web", 0, time.Minute), w.stop("web", "closed"), w.deploy("web", to("v2:80"))}
		for i, want := range []string{"web paused", "web stopped", "web stopped"} {
			w.disk.release(nil)
			w.settle()
			w.wantSaved(want)
			orders[i].wantOK()
		}
		w.wantList("web web.test v2:80 stopped")
		w.disk.held = false
		w.give("web", func(a *service.Asker) service.Order { return &service.Resume{Asker: a} }).wantOK()
	})
}

// wantSaved wants these services and states on disk.
func (w *world) wantSaved(want ...string) {
	w.Helper()
	got := w.disk.records()
	if len(got) != len(want) {
		w.Errorf("%d services are on disk, want %q", len(got), want)
	}
	for _, service := range want {
		found := false
		for _, r := range got {
			found = found || service == r.Name+" "+r.PauseController.State.String()
		}
		if !found {
			w.Errorf("%q is not on disk", service)
		}
	}
}
