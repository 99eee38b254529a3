package http2

import (
	"runtime"
	"sync"
)

const (
	// outgoingSize is a TLS record: streams wait where that much is pending.
	outgoingSize = 16 << 10
	// controlMost is how many frames that cannot wait may be pending.
	controlMost = 4096
	// worthwhile is the room that a part of a larger body is put into.
	worthwhile = 1 << 10
)

var outBlocks = sync.Pool{New: func() any { return new([outgoingSize]byte) }}

// outgoing is what is to be sent, in order.
type outgoing struct {
	pending  []byte
	writing  []byte // by drain; not nil only with draining
	number   uint64 // of the pending buffer: how often they were exchanged
	draining bool   // somebody writes, and will write what is pending
	controls int    // pending frames that cannot wait
	forRoom  line
}

// open makes room for frames.
func (c *conn) open() {
	if c.out.pending == nil {
		c.out.pending = outBlocks.Get().(*[outgoingSize]byte)[:0]
	}
}

// control makes room for a frame that cannot wait. The connection is cut off
// where the client takes none of them.
func (c *conn) control() {
	c.open()
	c.out.controls++
	if c.out.controls > controlMost && !c.broken {
		c.broken = true
		hangUp(c.socket)
	}
}

// exchange makes the pending buffer the one that is written.
func (c *conn) exchange() {
	o := &c.out
	o.writing, o.pending = o.pending, nil
	o.number++
	o.controls = 0
	o.forRoom.admit()
}

// kick has what is pending written, by another goroutine.
func (c *conn) kick() {
	if !c.out.draining && len(c.out.pending) > 0 && !c.broken {
		c.out.draining = true
		c.exchange()
		go func() {
			defer c.rescue()
			c.drain()
		}()
	}
}

// send writes what is pending on the caller's goroutine, which has nothing else
// to do. Other streams that are about to end put theirs in the same write. It
// unlocks.
func (c *conn) send() {
	if c.out.draining || len(c.out.pending) == 0 {
		finished := c.ending && !c.out.draining && !c.broken
		c.mu.Unlock()
		if finished {
			c.finish()
		}
		return
	}
	c.out.draining = true
	if c.running > 0 {
		c.mu.Unlock()
		runtime.Gosched()
		c.mu.Lock()
	}
	c.exchange()
	c.mu.Unlock()
	c.drain()
}

// drain writes until nothing is pending.
func (c *conn) drain() {
	for {
		_, err := c.socket.Write(c.out.writing)
		c.mu.Lock()
		free(c.out.writing)
		c.out.writing = nil
		if err != nil && !c.broken {
			c.broken = true
			c.departAll()
			hangUp(c.socket) // which ends the reader
		}
		if c.broken || len(c.out.pending) == 0 {
			break
		}
		c.exchange()
		c.mu.Unlock()
	}
	c.out.draining = false
	if c.broken {
		free(c.out.pending)
		c.out.pending = nil
	}
	finished := c.ending && !c.broken
	c.mu.Unlock()
	if finished {
		c.finish()
	}
}

func free(p []byte) {
	if cap(p) == outgoingSize {
		outBlocks.Put((*[outgoingSize]byte)(p[:outgoingSize]))
	}
}

// room is what may be put into the pending buffer now, where want is to be; 0:
// nothing.
func (c *conn) room(want int) int {
	c.open()
	room := outgoingSize - len(c.out.pending) - frameHead
	if room < want && room < worthwhile {
		return 0
	}
	return room
}
