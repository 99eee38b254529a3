package upstream

import (
	"io"
	"sync"
	"time"

	"kamal-proxy/transport/crash"
	"kamal-proxy/transport/exchange"
	"kamal-proxy/transport/http1"
)

const (
	headRoom  = 4 << 10  // for a head
	partSize  = 64 << 10 // of a body, sent at once
	chunkRoom = 8        // for the line before a chunk: 5 digits, CR LF, one to spare
)

// slab is a pooled buffer for what goes out.
type slab struct{ data []byte }

var (
	headSlabs = sync.Pool{New: func() any { return &slab{make([]byte, headRoom)} }}
	bodySlabs = sync.Pool{New: func() any { return &slab{make([]byte, headRoom+chunkRoom+partSize+len("\r\n0\r\n\r\n"))} }}
)

// outgoing is the first write of a request: its head, and its body as far as
// it fits.
type outgoing struct {
	slab    *slab
	pool    *sync.Pool
	data    []byte            // in the slab, or beyond it for a huge head
	part    []byte            // what it has of the body
	kept    [][]byte          // or all of the body, in memory
	pieces  [maxPieces][]byte // room for kept
	left    int64             // bytes of the body to come, -1: not known
	whole   bool              // nothing is to be read from Body any more
	expects bool              // the body waits for the target's word
}

func (o *outgoing) take(pool *sync.Pool) {
	o.pool, o.slab = pool, pool.Get().(*slab)
	o.data = o.slab.data[:0]
}

func (o *outgoing) free() {
	if o.slab != nil {
		o.pool.Put(o.slab)
		o.slab, o.data, o.part, o.kept = nil, nil, nil, nil
	}
}

// size is the bytes of the first write.
func (o *outgoing) size() int {
	n := len(o.data)
	for _, p := range o.kept {
		n += len(p)
	}
	return n
}

// prepare builds the first write. It waits for the client's first bytes, or
// for all of a body that fits.
func (x *call) prepare() (err error) {
	o, r := &x.out, x.request
	o.left, o.whole = r.ContentLength, r.ContentLength == 0
	o.expects = !o.whole && r.Header.HasToken("Expect", "100-continue")
	o.kept = x.kept()
	if o.whole = o.whole || o.kept != nil; o.whole {
		o.take(&headSlabs)
	} else {
		o.take(&bodySlabs)
	}
	if o.data, err = http1.AppendRequest(o.data, r); err != nil || o.whole || o.expects {
		return err
	}
	head := len(o.data)
	part, err := x.readPart(head)
	if err != nil {
		return err
	}
	// The part begins with a chunk's line, or after a gap: the short head
	// moves up to it, rather than the long part down.
	start := len(o.data) - len(part) - head
	copy(o.data[start:], o.data[:head])
	o.data = o.data[start:]
	return nil
}

// kept returns the pieces of a body that is in memory, if they are few.
func (x *call) kept() [][]byte {
	body, ok := x.request.Body.(exchange.Kept)
	if !ok || x.request.ContentLength <= 0 || x.out.expects {
		return nil
	}
	pieces := body.Memory(x.out.pieces[:0])
	if len(pieces) == 0 || len(pieces) > maxPieces {
		return nil
	}
	return pieces
}

// unkeep goes on with a body in memory as with any other, behind the first n
// bytes of the request.
func (x *call) unkeep(n int) (rest []byte, err error) {
	o := &x.out
	o.kept, o.whole = nil, false
	if n < len(o.data) {
		return o.data[n:], nil
	}
	sent := int64(n - len(o.data))
	o.free()
	o.take(&bodySlabs)
	o.left -= sent
	_, err = io.CopyN(io.Discard, x.request.Body, sent)
	return nil, err
}

// readPart reads the next part of the body into the buffer behind offset at,
// and returns it as it goes over the wire, at the end of o.data.
func (x *call) readPart(at int) ([]byte, error) {
	o := &x.out
	at += chunkRoom
	o.data = grown(o.data[:min(at, cap(o.data))], at+partSize)
	room := o.data[at : at+partSize]
	if o.left >= 0 && o.left < partSize {
		room = room[:o.left]
	}
	n, err := x.readBody(room, o.left >= 0 && o.left <= partSize)
	if err != nil && err != io.EOF {
		return nil, err
	}
	o.part = room[:n]
	start := at
	if o.left < 0 {
		start, err = x.frame(at, n, err == io.EOF)
		return o.data[start:], err
	}
	o.left -= int64(n)
	o.whole = o.left == 0
	if err == io.EOF && !o.whole {
		return nil, &BodyError{io.ErrUnexpectedEOF}
	}
	o.data = o.data[:at+n]
	return o.data[start:], nil
}

// grown is b with room for size bytes.
func grown(b []byte, size int) []byte {
	if cap(b) < size {
		b = append(make([]byte, 0, size+partSize), b...)
	}
	return b[:size]
}

// frame makes the n bytes at offset at a chunk, and ends the body if they are
// its last. It returns where the chunk begins.
func (x *call) frame(at, n int, last bool) (start int, err error) {
	o := &x.out
	o.data, start = o.data[:at+n], at
	if n > 0 {
		var room [2 * chunkRoom]byte
		line := http1.AppendChunkSize(room[:0], n)
		start -= len(line)
		copy(o.data[start:], line)
		o.data = append(o.data, "\r\n"...)
	}
	if last {
		o.whole = true
		var trailer exchange.Header
		if x.request.Trailer != nil {
			trailer = x.request.Trailer()
		}
		o.data, err = http1.AppendLastChunk(o.data, trailer)
	}
	return start, err
}

// readBody reads from the request's body, all of p if full is set. The error
// is io.EOF, a *BodyError, or why the call was cut off.
func (x *call) readBody(p []byte, full bool) (n int, err error) {
	x.mu.Lock()
	x.reading = x.ended == nil
	err = x.ended
	x.mu.Unlock()
	if err != nil {
		return 0, err
	}
	for n < len(p) && err == nil && (full || n == 0) {
		var m int
		m, err = x.request.Body.Read(p[n:])
		n += m
	}
	x.mu.Lock()
	x.reading = false
	ended := x.ended
	x.mu.Unlock()
	switch {
	case ended != nil:
		return n, ended
	case err != nil && err != io.EOF:
		return n, &BodyError{err}
	}
	return n, err
}

// begin makes the first write, which never waits, and starts the pump if
// something is left to do. That a write fails shows when the response is read:
// there may be one all the same.
func (x *call) begin() {
	n, err := x.conn.tryWrite(x.out.data, x.out.kept, x.out.whole)
	switch {
	case err != nil:
		x.broken = true
	case n == x.out.size() && x.out.whole:
		x.sent = true
	case n == x.out.size() && x.out.expects:
	default:
		x.startPump(n)
	}
}

func (x *call) startPump(from int) {
	x.pumped = make(chan struct{})
	go func() {
		defer close(x.pumped)
		defer x.crashed()
		x.pump(from)
	}()
}

// crashed makes a panic of the body that the pump reads an error of the call.
func (x *call) crashed() {
	if cause := recover(); cause != nil {
		x.stop(crash.Made(cause))
	}
}

// pump sends what the first write did not take, and all that follows.
func (x *call) pump(from int) {
	rest, err := x.out.data[min(from, len(x.out.data)):], error(nil)
	if x.out.kept != nil {
		if !x.mayRefill() {
			return
		}
		if rest, err = x.unkeep(from); err != nil {
			x.stop(err)
			return
		}
		x.limit(x.deadline())
	}
	if _, err := x.conn.Write(rest); err != nil {
		x.settle(false)
		return
	}
	l := x.newLift()
	defer l.end()
	for !x.out.whole {
		if !x.mayRefill() {
			return
		}
		lifted := x.raise(l)
		if !lifted {
			if rest, err = x.readPart(0); err != nil {
				x.stop(err)
				return
			}
		}
		x.limit(x.deadline())
		if lifted {
			err = x.lower(l)
		} else {
			_, err = x.conn.Write(rest)
		}
		if err != nil {
			x.settle(false)
			return
		}
	}
	x.settle(true)
}

// mayRefill gives the buffer to the next part: from here on the request is not
// whole in hand any more. The target's time stands still. It is false if the
// request is about to be repeated.
func (x *call) mayRefill() bool {
	x.mu.Lock()
	refill := !x.repeating
	x.refilled = x.refilled || refill
	x.mu.Unlock()
	if refill {
		x.limit(time.Time{})
	}
	return refill
}

// settle notes how sending ended. From here on the target has its time.
func (x *call) settle(sent bool) {
	x.mu.Lock()
	x.sent, x.broken = sent, !sent
	x.mu.Unlock()
	if sent {
		x.limit(x.deadline())
	}
}

// halt ends the pump, if there is one, and waits for it.
func (x *call) halt() {
	if x.pumped == nil {
		return
	}
	select {
	case <-x.pumped:
	default:
		x.stop(ErrClosed)
		<-x.pumped
	}
}

// linger gives a pump that is about to end the time to do so.
const linger = 20 * time.Millisecond

// finish ends the pump and reports whether the whole request went out.
func (x *call) finish() bool {
	if x.pumped != nil && !x.sending() {
		x.halt()
	} else if x.pumped != nil {
		timer := time.NewTimer(linger)
		defer timer.Stop()
		select {
		case <-x.pumped:
		case <-timer.C:
			x.halt()
		}
	}
	return x.sent && !x.broken
}

// sending reports whether the pump is writing, and not waiting for the client.
func (x *call) sending() bool {
	x.mu.Lock()
	defer x.mu.Unlock()
	return !x.reading
}
