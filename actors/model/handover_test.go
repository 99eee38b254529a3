package model_test

import (
	"context"
	"time"

	"kamal-proxy/actors/registry"
	"kamal-proxy/actors/service"
	"kamal-proxy/actors/spec"
	"kamal-proxy/actors/store"
	"kamal-proxy/actors/system"
)

// handing is a hand-over of the newest process, under way.
type handing struct {
	answered bool
	err      error
	records  []*spec.Record
}

func (w *world) handOver() {
	if w.handing != nil || len(w.processes) > 2 {
		return
	}
	h := &handing{}
	w.handing = h
	p := w.newest()
	m := registry.HandOver{Reply: system.NewReply[store.Snapshot]()}
	p.registry.Tell(m)
	go func() {
		snapshot, err := m.Wait(context.Background(), p.registry.Stopped())
		w.mu.Lock()
		defer w.mu.Unlock()
		h.answered, h.err = true, err
		if err == nil {
			snapshot.Each(func(r *spec.Record) bool { h.records = append(h.records, r); return true })
		}
	}()
}

func (w *world) takeBack() {
	if w.handing == nil {
		return
	}
	w.handing = nil
	w.newest().registry.Tell(registry.TakeBack{})
}

// succeed starts the successor, if the newest process is ready for one.
func (w *world) succeed() {
	h := w.handing
	if h == nil || !h.answered {
		return
	}
	if h.err != nil {
		w.fault("the hand-over failed: %v", h.err)
		return
	}
	w.handing = nil
	old := w.newest()
	p := w.process(old)
	m := registry.Restore{Reply: system.NewReply[struct{}]()}
	for _, r := range h.records {
		m.Services = append(m.Services, service.Restore{Record: r})
	}
	w.traps.clear() // a start that panics is none
	p.registry.Tell(m)
	w.await("restore", m.Reply)
	old.leads.Store(false)
	w.processes = append(w.processes, p)
	old.registry.Tell(registry.Yield{})
}

// part ends the oldest process, when its requests have ended.
func (w *world) part() {
	if len(w.processes) > 1 {
		w.endProcess(w.processes[0])
	}
}

func (w *world) endProcess(p *process) {
	for _, r := range w.requests {
		if r.process == p && r.leased() {
			r.finish()
		}
	}
	p.ended.Store(true)
	p.registry.Tell(registry.Quiesce{})
	w.settle()
	m := registry.Shutdown{Reply: system.NewReply[struct{}]()}
	p.registry.Tell(m)
	w.pass(1)
	w.await("shutdown", m.Reply)
	p.registry.Stop()
	for i, q := range w.processes {
		if q == p {
			w.processes = append(w.processes[:i:i], w.processes[i+1:]...)
			break
		}
	}
	w.gone = append(w.gone, p)
	w.settle()
}

// await waits for an answer that must come.
func (w *world) await(what string, reply *system.Reply[struct{}]) {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	if _, err := reply.Wait(ctx, nil); err != nil {
		w.fault("the %s failed: %v", what, err)
	}
}
