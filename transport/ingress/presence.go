package ingress

import (
	"context"
	"sync"
	"time"

	"kamal-proxy/transport/crash"
)

// presence is the context of a connection's exchanges, one after the other: it
// ends when the client has gone, or the exchange was broken off. It makes no
// garbage, at a price: who still waits for Done when the exchange is over waits
// for nothing, and a stop function of AfterFunc may be called once. What was
// given to AfterFunc and not stopped runs at the exchange's end.
type presence struct {
	mu      sync.Mutex
	conn    *conn  // nil between exchanges
	number  uint64 // of the exchange
	gone    bool
	asked   bool          // somebody wants to know
	certain bool          // the client is believed to be there: it is not looked for
	done    chan struct{} // nil: nobody has asked
	watches []*watch
	used    int // of watches, by this exchange
}

// watch is one function given to AfterFunc.
type watch struct {
	presence *presence
	f        func() // nil: stopped, or run
	stop     func() bool
}

var _ context.Context = (*presence)(nil)

// begin starts the next exchange and returns its number.
func (p *presence) begin(c *conn, certain bool) uint64 {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.conn, p.certain = c, certain
	p.number++
	return p.number
}

// end ends the exchange. It reports whether the client is still there.
func (p *presence) end() (present bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	present = !p.gone
	p.conn, p.asked = nil, false
	if p.used > 0 {
		p.runAll()
	}
	return present
}

// leave ends the context of the exchange of that number, and returns its
// connection; it returns nil if that exchange is over.
func (p *presence) leave(number uint64) *conn {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.conn == nil || p.number != number {
		return nil
	}
	p.depart()
	return p.conn
}

// leaveOn ends the context of the exchange that is under way on c, if it is
// this one's.
func (p *presence) leaveOn(c *conn) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.conn == c {
		p.depart()
	}
}

func (p *presence) depart() {
	if p.gone {
		return
	}
	p.gone = true
	if p.done == nil {
		p.done = make(chan struct{})
	}
	close(p.done)
	p.runAll()
}

// runAll runs what was not stopped. Its watches are not used again, since it
// may still be stopped.
func (p *presence) runAll() {
	for i, w := range p.watches[:p.used] {
		if w.f != nil {
			crash.Go("Ending a request panicked", w.f)
			w.f = nil
			p.watches[i] = nil
		}
	}
	p.used = 0
}

// believe has the client not looked for any more: it may close its sending side
// and be there all the same.
func (p *presence) believe() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.certain, p.asked = true, false
}

// watched returns the number of an exchange of c that somebody watches, or 0.
func (p *presence) watched(c *conn) uint64 {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.conn != c || !p.asked || p.gone {
		return 0
	}
	return p.number
}

// ask has the client looked for, from some time on.
func (p *presence) ask() {
	if !p.asked && !p.certain && p.conn != nil {
		p.asked = true
		p.conn.server.lookout.arm()
	}
}

// AfterFunc runs f, on a goroutine of its own, when the context ends, unless
// stop has been called before; stop reports whether it was in time.
func (p *presence) AfterFunc(f func()) (stop func() bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.gone {
		crash.Go("Ending a request panicked", f)
		return tooLate
	}
	p.ask()
	if p.used == len(p.watches) {
		p.watches = append(p.watches, nil)
	}
	w := p.watches[p.used]
	if w == nil {
		w = &watch{presence: p}
		w.stop = w.cancel
		p.watches[p.used] = w
	}
	p.used++
	w.f = f
	return w.stop
}

func tooLate() bool { return false }

func (w *watch) cancel() bool {
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
	p.ask()
	if p.done == nil {
		p.done = make(chan struct{})
	}
	return p.done
}

func (p *presence) Err() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.gone {
		return context.Canceled
	}
	return nil
}

func (p *presence) Deadline() (time.Time, bool) { return time.Time{}, false }

func (p *presence) Value(any) any { return nil }
