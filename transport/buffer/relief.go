package buffer

import (
	"fmt"
	"runtime/debug"
	"sync"
)

// relief is what the two goroutines of a slow client's stream share: one that
// reads the body, one that writes to the client.
type relief struct {
	mu      sync.Mutex
	changed sync.Cond // one of them waits at a time

	// Guarded by mu while the state is relieved.
	backlog backlog
	failure error // what the body's reading ended with
	waiting bool  // the client has been sent all there is
	gone    bool  // the client takes no more
	left    bool  // the relief has: it does not touch the relay any more
	crash   any   // why it panicked
}

// relieve runs on the timer's goroutine. It reads the body as long as the client
// is slow.
func (r *relay) relieve() {
	if !r.state.CompareAndSwap(sending, relieved) {
		return // the part went out at the last moment
	}
	part := newChunk(largeChunk)
	defer part.free()
	defer r.crashed()
	for {
		n, failure := r.readGuarded(part.data)
		if !r.keep(part.data[:n], failure) {
			return
		}
	}
}

// readGuarded reads a part and tells of the body's end. A panic is handed to
// the request's goroutine: here it would end the process.
func (r *relay) readGuarded(p []byte) (n int, failure error) {
	defer func() {
		if cause := recover(); cause != nil {
			r.crash = fmt.Sprintf("%v\n%s", cause, debug.Stack())
			n, failure = 0, fmt.Errorf("reading the response panicked: %v", cause)
		}
	}()
	n, failure = r.Body.Read(p)
	if failure != nil {
		r.tell(failure)
	}
	return n, failure
}

// crashed hands over a panic of what was read being kept.
func (r *relay) crashed() {
	if cause := recover(); cause != nil {
		r.mu.Lock()
		defer r.mu.Unlock()
		r.crash = fmt.Sprintf("%v\n%s", cause, debug.Stack())
		r.failure, r.left = errPanicked, true
		r.changed.Broadcast()
	}
}

// keep puts a part into the backlog and reports whether there is more to do.
func (r *relay) keep(part []byte, failure error) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	caughtUp := r.waiting && len(part) > 0
	for !r.gone && len(part) > 0 {
		part = part[r.backlog.put(part):]
		r.waiting = false
		r.changed.Broadcast()
		if len(part) > 0 {
			r.changed.Wait()
		}
	}
	r.failure = failure
	r.left = failure != nil || r.gone || caughtUp
	r.changed.Broadcast()
	return !r.left
}

// catchUp sends the backlog until the relief has left and nothing remains. err
// is the outcome of the write that took so long.
func (r *relay) catchUp(err error) error {
	for err == nil {
		part, more, failed := r.next()
		switch {
		case failed != nil:
			err = failed
		case part == nil:
			r.rethrow()
			return nil
		default:
			err = r.write(part, !more)
		}
	}
	r.dismiss(err)
	r.rethrow()
	return err
}

// next waits for a part, and returns none once the relief has left. more says
// that there is another part already.
func (r *relay) next() (part []byte, more bool, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for r.backlog.len() == 0 && !r.left {
		r.waiting = true
		r.changed.Wait()
	}
	r.waiting = false
	n, err := r.backlog.take(r.part.data)
	if n == 0 {
		return nil, false, err
	}
	r.changed.Broadcast()
	return r.part.data[:n], r.backlog.len() > 0, err
}

// dismiss sends the relief away and waits until it has left.
func (r *relay) dismiss(cause error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.gone = true
	r.changed.Broadcast()
	if !r.left && r.Stop != nil {
		r.mu.Unlock()
		r.Stop(cause)
		r.mu.Lock()
	}
	for !r.left {
		r.changed.Wait()
	}
}

// rethrow is called once the relief has left.
func (r *relay) rethrow() {
	if r.crash != nil {
		panic(r.crash)
	}
}
