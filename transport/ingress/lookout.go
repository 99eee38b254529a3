package ingress

import (
	"sync/atomic"
	"time"

	"kamal-proxy/transport/crash"
)

// lookoutInterval is how often clients are looked for.
const lookoutInterval = 100 * time.Millisecond

// lookout finds the clients that left while their request was being answered.
// Nothing tells of that but the socket, and asking each time would cost more
// than most requests do. So one timer looks at all requests that somebody
// watches and that it has met before: one of less than lookoutInterval pays
// nothing. The longer a request has lasted, the less often it is looked at, down
// to once in 8 intervals. There is no timer while nobody watches.
//
// A client has left when it has closed its sending side, be it only that: this
// cannot be told from a client that is gone (net/http and nginx do the same).
// But one that has sent its next request already is believed to wait for both
// answers.
type lookout struct {
	conns *conns
	armed atomic.Bool
}

// arm makes sure that the timer runs.
func (l *lookout) arm() {
	if !l.armed.Load() && l.armed.CompareAndSwap(false, true) {
		time.AfterFunc(lookoutInterval, l.look)
	}
}

func (l *lookout) look() {
	watched := true // if the round panics, too
	crash.Run("Looking for clients that have left panicked", func() { watched = l.round() })
	if watched {
		time.AfterFunc(lookoutInterval, l.look)
		return
	}
	l.armed.Store(false)
	if l.round() { // it began to be watched while the timer seemed to run
		l.arm()
	}
}

// round looks at each connection, and reports whether somebody watches one.
func (l *lookout) round() (watched bool) {
	l.conns.each(func(c *conn) {
		if x := c.current.Load(); x != nil && c.look(x) {
			watched = true
		}
	})
	return watched
}

// sighting is an exchange that the lookout has met.
type sighting struct {
	exchange *wireExchange
	number   uint64
	age      int // in intervals
}

// look looks for the client of an exchange, and reports whether somebody wants
// to know.
func (c *conn) look(x *wireExchange) bool {
	number := x.presence.watched(c)
	if number == 0 {
		return false
	}
	if c.seen.exchange != x || c.seen.number != number {
		c.seen = sighting{x, number, 0}
		return true
	}
	c.seen.age++
	if age := c.seen.age; age&(age-1) == 0 || age%8 == 0 {
		if c.raw != nil && left(c.raw) {
			x.presence.leave(number)
		}
	}
	return true
}
