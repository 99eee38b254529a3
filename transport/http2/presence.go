package http2

import (
	"context"
	"sync"
	"time"

	"kamal-proxy/transport/crash"
)

// presence is an exchange's context: it ends when the client has gone, when the
// response is broken off, or when the exchange is over.
type presence struct {
	mu      sync.Mutex
	ended   bool
	done    chan struct{} // nil: nobody has asked
	watches []*watch
	one     [1]*watch
}

// watch is one function given to AfterFunc.
type watch struct {
	presence *presence
	f        func() // nil: stopped, or run
}

var _ context.Context = (*presence)(nil)

// end ends the context. It may be called more than once.
func (p *presence) end() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.ended {
		return
	}
	p.ended = true
	if p.done != nil {
		close(p.done)
	}
	for _, w := range p.watches {
		if w.f != nil {
			crash.Go("Ending a request panicked", w.f)
			w.f = nil
		}
	}
	p.watches = nil
}

// AfterFunc runs f, on a goroutine of its own, when the context ends, unless
// stop has been called before; stop reports whether it was in time. The context
// package knows it: no goroutine has to wait.
func (p *presence) AfterFunc(f func()) (stop func() bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.ended {
		crash.Go("Ending a request panicked", f)
		return tooLate
	}
	if p.watches == nil {
		p.watches = p.one[:0]
	}
	w := &watch{p, f}
	p.watches = append(p.watches, w)
	return w.stop
}

func tooLate() bool { return false }

func (w *watch) stop() bool {
	w.presence.mu.Lock()
	defer w.presence.mu.Unlock()
	inTime := w.f != nil
	w.f = nil
	return inTime
}

// Done implements context.Context, as do all that follow.
func (p *presence) Done() <-chan struct{} {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.done == nil {
		p.done = make(chan struct{})
		if p.ended {
			close(p.done)
		}
	}
	return p.done
}

func (p *presence) Err() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.ended {
		return context.Canceled
	}
	return nil
}

func (p *presence) Deadline() (time.Time, bool) { return time.Time{}, false }

func (p *presence) Value(any) any { return nil }
