package ingress

import (
	"context"
	"sync"
)

// conns are the open connections of a server but for those of HTTP/2, which
// are only counted.
type conns struct {
	crowd *Crowd

	mu     sync.Mutex
	open   map[*conn]struct{}
	passed int           // on to HTTP/2
	none   chan struct{} // closed when the last one goes; nil: nobody waits
}

// add takes in a connection that has entered the crowd.
func (cs *conns) add(c *conn) {
	cs.mu.Lock()
	defer cs.mu.Unlock()
	if cs.open == nil {
		cs.open = make(map[*conn]struct{})
	}
	cs.open[c] = struct{}{}
}

// remove forgets a connection that ends. It may be called more than once.
func (cs *conns) remove(c *conn) {
	cs.mu.Lock()
	defer cs.mu.Unlock()
	if _, open := cs.open[c]; open {
		delete(cs.open, c)
		cs.crowd.leave()
		cs.tellIfNone()
	}
}

func (cs *conns) tellIfNone() {
	if cs.size() == 0 && cs.none != nil {
		close(cs.none)
		cs.none = nil
	}
}

// pass forgets a connection that goes on in HTTP/2, but for counting it;
// passedAway is its end.
func (cs *conns) pass(c *conn) {
	cs.mu.Lock()
	defer cs.mu.Unlock()
	cs.passed++
	delete(cs.open, c)
}

func (cs *conns) passedAway() {
	cs.mu.Lock()
	defer cs.mu.Unlock()
	cs.passed--
	cs.crowd.leave()
	cs.tellIfNone()
}

// each calls f with each connection. f must not wait.
func (cs *conns) each(f func(*conn)) {
	cs.mu.Lock()
	defer cs.mu.Unlock()
	for c := range cs.open {
		f(c)
	}
}

// wait returns nil once no connection is open, those of HTTP/2 included, or
// ctx's error.
func (cs *conns) wait(ctx context.Context) error {
	cs.mu.Lock()
	if cs.size() == 0 {
		cs.mu.Unlock()
		return nil
	}
	if cs.none == nil {
		cs.none = make(chan struct{})
	}
	none := cs.none
	cs.mu.Unlock()

	select {
	case <-none:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// cut breaks all connections off. Their exchanges see their contexts end, and
// their reads and writes fail.
func (cs *conns) cut() {
	cs.each((*conn).cut)
}

// count returns how many connections are open, those of HTTP/2 too.
func (cs *conns) count() int {
	cs.mu.Lock()
	defer cs.mu.Unlock()
	return cs.size()
}

func (cs *conns) size() int { return len(cs.open) + cs.passed }
