package upstream

import (
	"time"
)

// take returns an idle connection on which nothing has come in, or nil.
func (t *Target) take() *conn {
	for {
		c := t.pop()
		if c == nil || c.quiet() {
			return c
		}
		c.close()
	}
}

func (t *Target) pop() *conn {
	t.mu.Lock()
	defer t.mu.Unlock()
	last := len(t.idle) - 1
	if last < 0 {
		return nil
	}
	c := t.idle[last]
	t.idle[last] = nil
	t.idle = t.idle[:last]
	return c
}

// put keeps c for the next request.
func (t *Target) put(c *conn) {
	c.rest()
	if !t.keep(c) {
		c.close()
	}
}

func (t *Target) keep(c *conn) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.closed || len(t.idle) >= t.options.MaxIdle {
		return false
	}
	t.idle = append(t.idle, c)
	if !t.sweeping {
		t.sweepIn(t.options.IdleTimeout)
	}
	return true
}

// sweepIn sets the one timer that ends idle connections.
func (t *Target) sweepIn(d time.Duration) {
	t.sweeping = true
	if t.sweeper == nil {
		t.sweeper = time.AfterFunc(d, t.sweep)
	} else {
		t.sweeper.Reset(d)
	}
}

// sweep closes the connections that were idle for too long. They are the first
// ones: whatever is used goes to the end.
func (t *Target) sweep() {
	t.mu.Lock()
	limit := time.Now().Add(-t.options.IdleTimeout)
	n := 0
	for n < len(t.idle) && !t.idle[n].since.After(limit) {
		n++
	}
	old := append([]*conn(nil), t.idle[:n]...)
	kept := copy(t.idle, t.idle[n:])
	clear(t.idle[kept:])
	t.idle = t.idle[:kept]
	t.sweeping = kept > 0
	if t.sweeping {
		t.sweepIn(t.idle[0].since.Sub(limit))
	}
	t.mu.Unlock()
	for _, c := range old {
		c.close()
	}
}
