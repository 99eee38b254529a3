package registry_test

import (
	"testing"
	"time"

	"kamal-proxy/actors/service"
	"kamal-proxy/actors/spec"
)

// sites is what handshakes see. It may be slow to change: whatever can happen
// meanwhile does.
type sites struct {
	w     *world
	slow  bool
	early int // changes whose order was answered before they were seen
}

func (s *sites) Put(*spec.Record, service.Assets) { s.change() }
func (s *sites) Remove(string)                    { s.change() }

func (s *sites) change() {
	if !s.slow {
		return
	}
	time.Sleep(1)
	s.w.mu.Lock()
	defer s.w.mu.Unlock()
	if n := len(s.w.orders); n > 0 && s.w.orders[n-1].answered {
		s.early++
	}
}

func TestHandshakesSeeAChangeBeforeItsOrderIsAnswered(t *testing.T) {
	play(t, func(w *world) {
		w.sites.slow = true
		for _, target := range []string{"v1:80", "v2:80"} {
			d := w.deploy("web", to(target))
			w.pass(time.Second)
			d.wantOK()
		}
		r := w.remove("web", 0)
		w.pass(time.Second)
		r.wantOK()
		if w.sites.early != 0 {
			t.Errorf("%d of 3 orders were answered before handshakes saw them", w.sites.early)
		}
	})
}
