package registry_test

import (
	"context"
	"testing"
	"time"

	"kamal-proxy/actors/registry"
	"kamal-proxy/actors/service"
	"kamal-proxy/actors/spec"
	"kamal-proxy/actors/store"
	"kamal-proxy/actors/system"
)

// handover is a HandOver that was asked for, and what came of it.
type handover struct {
	w        *world
	answered bool
	records  []*spec.Record
	err      error
}

func (w *world) handOver() *handover {
	h := &handover{w: w}
	m := registry.HandOver{Reply: system.NewReply[store.Snapshot]()}
	w.registry.Tell(m)
	go func() {
		snapshot, err := m.Wait(context.Background(), w.registry.Stopped())
		w.mu.Lock()
		defer w.mu.Unlock()
		h.answered, h.err = true, err
		if err == nil {
			snapshot.Each(func(r *spec.Record) bool { h.records = append(h.records, r); return true })
		}
	}()
	w.settle()
	return h
}

func (h *handover) wantWaiting() *handover {
	h.w.Helper()
	if h.answered {
		h.w.Errorf("the hand-over was answered %v, want it to wait", h.err)
	}
	return h
}

func (h *handover) wantDone() *handover {
	h.w.Helper()
	if !h.answered || h.err != nil {
		h.w.Fatalf("the hand-over: answered %v, %v, want it done", h.answered, h.err)
	}
	return h
}

func (h *handover) wantErr(want error) {
	h.w.Helper()
	if !h.answered || h.err != want {
		h.w.Errorf("the hand-over: answered %v, %v, want %v", h.answered, h.err, want)
	}
}

func (w *world) tell(m registry.Message) {
	w.registry.Tell(m)
	w.settle()
}

func TestHandOverOfNothingUnderWay(t *testing.T) {
	play(t, func(w *world) {
		w.deployed("web", to("v1:80"))
		w.deployed("other")
		saves := w.disk.saves
		under, held := w.ask("other.test", "/"), w.pause("web", 0, time.Minute).wantOK()
		h := w.handOver().wantDone()
		if len(h.records) != 2 || h.records[1].Name != "web" || h.records[1].PauseController.State != spec.Paused {
			t.Errorf("it hands over %v", h.records)
		}
		w.ask("other.test", "/").wantTarget("other:80").done()
		w.ask("web.test", "/").wantWaiting().leave()
		w.wantList("other other.test other:80 running; web web.test v1:80 paused")
		under.wantUncut()
		under.done()
		_ = held
		if w.disk.saves != saves+1 { // the pause's
			t.Error("it writes what is the successor's")
		}
	})
}

// All that was ordered before ends first, drains too; what comes meanwhile waits.
func TestHandOverWaitsForWhatIsUnderWay(t *testing.T) {
	play(t, func(w *world) {
		w.deployed("web", to("v1:80"))
		w.deployed("gone")
		slow, late := w.ask("web.test", "/"), w.ask("gone.test", "/")
		w.app("v3:80").set(refused)
		drains := w.deploy("web", to("v2:80")).wantWaiting()
		warms, queued := w.deploy("web", to("v3:80")), w.deploy("web", to("v4:80"))
		never := w.deploy("never", to("v3:80"), within(5*time.Second))
		removed := w.remove("gone", time.Minute).wantWaiting()

		h := w.handOver().wantWaiting()
		parked := w.deploy("new").wantWaiting().wantStages("parked")
		w.handOver().wantErr(registry.ErrHandingOver)
		slow.done()
		drains.wantOK()
		h.wantWaiting()
		w.app("v3:80").set(ok)
		w.pass(time.Second)
		warms.wantOK()
		queued.wantOK()
		w.ask("web.test", "/").wantTarget("v4:80").done()
		w.pass(5 * time.Second)
		never.wantOK()
		h.wantWaiting()
		late.done()
		removed.wantOK()
		h.wantDone()
		parked.wantWaiting()
		w.ask("new.test", "/").wantStatus(404)
		w.tell(registry.TakeBack{})
		parked.wantOK()
	})
}

func TestHandOverWaitsForASave(t *testing.T) {
	play(t, func(w *world) {
		w.deployed("web", to("v1:80"))
		w.disk.held = true
		d, r := w.deploy("web", to("v2:80")), w.remove("web", time.Minute)
		p := w.pause("web", 0, 0) // behind the remove
		h := w.handOver().wantWaiting()
		w.disk.release(nil)
		w.settle()
		d.wantOK()
		h.wantWaiting()
		w.disk.release(nil)
		w.settle()
		r.wantOK()
		if h.wantDone(); len(h.records) != 0 {
			t.Errorf("it hands over %v", h.records)
		}
		p.wantErr(registry.ErrNotFound) // it was given before
		parked := w.deploy("web").wantWaiting()
		w.tell(registry.Yield{})
		parked.wantErr(registry.ErrMoved)
		w.deploy("web").wantErr(registry.ErrMoved)
		w.remove("web", 0).wantErr(registry.ErrMoved)
		w.tell(registry.TakeBack{}) // too late
		w.resume("web").wantErr(registry.ErrMoved)
		w.handOver().wantErr(registry.ErrHandingOver)
	})
}

// A resume ends the drain of a pause that a hand-over would wait for, unless
// the service has an order that waits: it is not overtaken.
func TestResumeGoesThroughWhileOthersEnd(t *testing.T) {
	play(t, func(w *world) {
		w.deployed("web")
		w.deployed("other")
		a, b := w.ask("web.test", "/"), w.ask("other.test", "/")
		p, q := w.pause("web", time.Hour, time.Hour), w.pause("other", time.Hour, time.Hour)
		h := w.handOver().wantWaiting()
		w.resume("web").wantOK()
		p.wantOK()
		w.ask("web.test", "/").wantTarget("web:80").done()
		stop := w.stop("other", "").wantWaiting()
		resume := w.resume("other").wantWaiting()
		q.wantWaiting()
		h.wantWaiting()
		b.done()
		q.wantOK()
		h.wantDone()
		w.resume("web").wantWaiting()
		w.tell(registry.TakeBack{})
		stop.wantOK()
		resume.wantOK()
		w.wantList("other other.test other:80 running; web web.test web:80 running")
		a.done()
	})
}

// What waits is carried out in its order, and a second hand-over is as the first.
func TestTakeBack(t *testing.T) {
	play(t, func(w *world) {
		w.deployed("web", to("v1:80"))
		slow := w.ask("web.test", "/")
		d := w.deploy("web", to("v2:80")).wantWaiting()
		h := w.handOver().wantWaiting()
		pause, resume := w.pause("web", 0, time.Minute), w.resume("web")
		w.tell(registry.TakeBack{})
		h.wantErr(registry.ErrTakenBack)
		pause.wantOK()
		resume.wantOK()
		again := w.handOver().wantWaiting()
		slow.done()
		d.wantOK()
		again.wantDone()
		w.tell(registry.TakeBack{})
		w.deploy("web", to("v3:80")).wantOK()
		w.wantSaved("web running")
	})
}

func TestHandOverThatMeetsTheEnd(t *testing.T) {
	play(t, func(w *world) {
		w.deployed("web", to("v1:80"))
		slow := w.ask("web.test", "/")
		d := w.deploy("web", to("v2:80"))
		h := w.handOver().wantWaiting()
		parked, removal := w.deploy("web"), w.remove("web", 0)
		w.tell(registry.Quiesce{})
		h.wantErr(service.ErrShutdown)
		parked.wantErr(service.ErrShutdown)
		removal.wantErr(service.ErrShutdown)
		w.handOver().wantErr(service.ErrShutdown)
		slow.done()
		d.wantOK()
	})
}
