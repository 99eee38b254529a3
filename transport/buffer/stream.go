package buffer

import (
	"errors"
	"io"
	"sync"
	"sync/atomic"
	"time"
)

// patience is how long a client may take for a part before the target no longer
// waits for it.
const patience = 10 * time.Millisecond

// Client is where a response goes. It is used by one goroutine.
type Client interface {
	io.Writer
	// Flush pushes out what Write may hold back.
	Flush() error
}

// Stream is a response that is passed on as it comes. Its head has been given
// to the client already.
type Stream struct {
	// Body is the target's side. It is read by one goroutine at a time, not
	// always the same. If it has a method Ready() bool, that tells whether Read
	// has something to return without waiting; parts are flushed only where it
	// has not.
	Body   io.Reader
	Client Client
	Limits Limits // Size is not looked at
	// Backlog is how many bytes are kept for a slow client at most; then the
	// target waits. 0: no limit but the disk's.
	Backlog int64

	// Ended, if there is one, is called once Body has nothing more to give, even
	// if the client is far behind: with nil at its end, else with what its
	// reading failed with. It may run beside a write to the client. It is not
	// called where the client goes before that is known.
	Ended func(err error)
	// Stop makes a Read of Body that waits return soon. It is called where
	// Relay fails, with its error, while another goroutine reads.
	Stop func(cause error)
}

// Relay passes the body on, and returns when that is done and nobody uses the
// Stream any more. The end is not flushed. Its error is a *ClientError, a
// *DiskError, or, once the client has been sent what came before it, what the
// body's reading failed with: the response is to be broken off then.
func (s Stream) Relay() error {
	r := relays.Get().(*relay)
	r.begin(s)
	defer r.end()
	return r.run()
}

// relay is a Stream on its way.
type relay struct {
	Stream
	ready ready // nil: it cannot be known
	part  *chunk
	state atomic.Int32
	timer *time.Timer // nil before the first part
	watch func()      // relieve, bound once
	relief
}

type ready interface{ Ready() bool }

var errPanicked = errors.New("writing to the client panicked")

// States. The timer turns sending into relieved; all else the request's
// goroutine does.
const (
	calm     int32 = iota
	sending        // a part is being written
	relieved       // somebody else reads the body
)

var relays = sync.Pool{New: func() any {
	r := new(relay)
	r.watch = r.relieve
	r.changed.L = &r.mu
	return r
}}

func (r *relay) begin(s Stream) {
	r.Stream = s
	r.ready, _ = s.Body.(ready)
	r.part = newChunk(mediumChunk)
	r.backlog.limits, r.backlog.most = s.Limits, s.Backlog
}

// end leaves the relay as it was. The timer is not kept: in a synctest bubble it
// could not be used outside.
func (r *relay) end() {
	if r.state.Swap(calm) == relieved { // the client's side panicked
		r.dismiss(errPanicked)
	}
	r.part.free()
	r.backlog.close()
	r.Stream, r.ready, r.part, r.timer = Stream{}, nil, nil, nil
	r.failure, r.gone, r.left, r.crash = nil, false, false, nil
	relays.Put(r)
}

func (r *relay) run() error {
	if err := r.write(nil, r.waits()); err != nil {
		return err
	}
	for {
		n, err := r.Body.Read(r.part.data)
		if err != nil {
			return r.last(r.part.data[:n], err)
		}
		if n == 0 {
			continue
		}
		err = r.send(r.part.data[:n])
		if !r.state.CompareAndSwap(sending, calm) {
			if err = r.catchUp(err); r.failure != nil && err == nil {
				return r.outcome()
			}
			r.left = false
			r.state.Store(calm)
		}
		if err != nil {
			return err
		}
		if n == mediumChunk {
			r.widen()
		}
	}
}

// waits reports whether the next part may be long in coming.
func (r *relay) waits() bool { return r.ready == nil || !r.ready.Ready() }

// send writes a part, and sends for the relief if that takes long.
func (r *relay) send(part []byte) error {
	flush := r.waits()
	r.state.Store(sending)
	if r.timer == nil {
		r.timer = time.AfterFunc(patience, r.watch)
	} else {
		r.timer.Reset(patience)
	}
	err := r.write(part, flush)
	r.timer.Stop()
	return err
}

func (r *relay) write(part []byte, flush bool) error {
	var err error
	if len(part) > 0 {
		_, err = write(r.Client, part)
	}
	if err == nil && flush {
		err = r.Client.Flush()
	}
	if err != nil {
		return &ClientError{err}
	}
	return nil
}

// last writes what came with the body's end. No target waits any more, so nobody
// watches.
func (r *relay) last(part []byte, failure error) error {
	r.tell(failure)
	r.failure = failure
	if err := r.write(part, failure != io.EOF); err != nil {
		return err
	}
	return r.outcome()
}

// outcome is the error that a body's end makes.
func (r *relay) outcome() error {
	if r.failure == io.EOF {
		return nil
	}
	return r.failure
}

func (r *relay) tell(failure error) {
	if r.Ended == nil {
		return
	}
	if failure == io.EOF {
		failure = nil
	}
	r.Ended(failure)
}

// widen goes on with larger parts: much is coming.
func (r *relay) widen() {
	if len(r.part.data) < largeChunk {
		r.part.free()
		r.part = newChunk(largeChunk)
	}
}
