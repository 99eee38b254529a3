package http2

import "time"

// retirement is the PING behind the first GOAWAY: when it is answered, the
// client has seen both.
var retirement = [8]byte{'r', 'e', 't', 'i', 'r', 'e', 'd', '!'}

// retire ends the connection in good order (RFC 9113, section 6.8): the client
// is told to open no more streams; once it knows, which was the last; when all
// have ended, it is closed.
func (c *conn) retire() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.retireLocked()
}

// retireSoon is retire, but that a client that has asked for nothing yet has a
// while to do so: many would not, once they were told to go.
func (c *conn) retireSoon(quiet time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.departing = true
	if c.requests > 0 {
		c.retireLocked()
		return
	}
	time.AfterFunc(quiet, c.retire)
}

func (c *conn) retireLocked() {
	if c.retiring || c.ending || c.broken {
		return
	}
	c.retiring = true
	c.control()
	c.out.pending = appendGoAway(c.out.pending, maxID, noError, "")
	c.out.pending = appendPing(c.out.pending, 0, retirement[:])
	c.kick()
	time.AfterFunc(settleTime, c.settle)
}

// settle is the second step: the client knows, or has had the time to.
func (c *conn) settle() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.refusing || c.ending || c.broken {
		return
	}
	c.refusing, c.accepted = true, c.lastID
	c.control()
	c.out.pending = appendGoAway(c.out.pending, c.lastID, noError, "")
	c.endIfDone()
	c.kick()
}

// endIfDone ends a retired connection without streams. It comes before what is
// pending is sent.
func (c *conn) endIfDone() {
	if c.refusing && c.running == 0 && len(c.streams) == 0 {
		c.ending = true
	}
}

// idleSince tells since when there is no stream.
func (c *conn) idleSince() (since time.Time, idle bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.lastEnd, c.running == 0 && !c.ending && !c.broken
}

// dismissTime is how long a dismissed connection's last word may take.
const dismissTime = 100 * time.Millisecond

// dismiss ends the connection soon, if it is without a stream: what its client
// begins in this moment, it is told to begin elsewhere. It reports whether it was.
func (c *conn) dismiss() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.running > 0 || c.ending || c.broken {
		return false
	}
	c.retiring, c.refusing, c.accepted, c.ending = true, true, c.lastID, true
	c.control()
	c.out.pending = appendGoAway(c.out.pending, c.lastID, noError, "")
	c.kick()
	time.AfterFunc(dismissTime, c.cut)
	return true
}
