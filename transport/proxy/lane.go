package proxy

import (
	"io"
	"sync"
	"sync/atomic"
	"time"

	"kamal-proxy/transport/exchange"
)

// lane is one direction of a tunnel. What it reads it writes, until it has
// shut the way it writes to; then it only reads on, so that nothing unread
// resets the connection when that is closed.
//
//	open --leave--> leaving --end of a frame--> shut
//	open --end of what is read--> shut
type lane struct {
	from, to  exchange.Tunnel
	goingAway func() []byte // makes the last frame of a WebSocket; nil: it is none

	mu      sync.Mutex // guards what follows, and writing
	frames  frames
	leaving atomic.Bool
	shut    bool
}

// linger is how long a lane may take to get to the end of a frame, and how long
// the tunnel is read on after that.
const linger = time.Second

// carry moves bytes until the end of what it reads, or an error.
func (l *lane) carry() error {
	var buffer tunnelBuffer
	defer buffer.release()
	for {
		p := buffer.bytes()
		n, err := l.from.Read(p)
		if err := l.pass(p[:n]); err != nil {
			return err
		}
		buffer.fit(n)
		if err == io.EOF {
			return l.end()
		}
		if err != nil {
			return err
		}
	}
}

// pass writes p on, but nothing beyond the frame it leaves after.
func (l *lane) pass(p []byte) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.shut || len(p) == 0 {
		return nil
	}
	if l.leaving.Load() {
		p = p[:l.frames.next(p)]
	} else if l.goingAway != nil {
		l.frames.follow(p)
	}
	if _, err := l.to.Write(p); err != nil {
		return err
	}
	if l.leaving.Load() && l.frames.between() {
		return l.sayGoodbye()
	}
	return nil
}

// end passes on that nothing more will come.
func (l *lane) end() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.shut {
		return nil
	}
	if l.leaving.Load() && l.goingAway != nil && l.frames.between() {
		return l.sayGoodbye()
	}
	l.shut = true
	return l.to.CloseWrite()
}

// leave says goodbye at the end of the frame under way.
func (l *lane) leave() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.leaving.Store(true)
	if l.shut || !l.frames.between() {
		return nil
	}
	return l.sayGoodbye()
}

// sayGoodbye sends a Close frame, unless a peer's has passed here, and shuts
// the lane.
func (l *lane) sayGoodbye() error {
	l.shut = true
	if !l.frames.closing {
		if _, err := l.to.Write(l.goingAway()); err != nil {
			return err
		}
	}
	if err := l.to.CloseWrite(); err != nil {
		return err
	}
	return l.to.SetReadDeadline(time.Now().Add(linger))
}

// tunnelBuffer is small while little comes, since most tunnels are idle most of
// the time, and large while much does.
type tunnelBuffer struct {
	small *[2 << 10]byte
	large *[32 << 10]byte
}

var smallBuffers = sync.Pool{New: func() any { return new([2 << 10]byte) }}

// bytes returns what to read into.
func (b *tunnelBuffer) bytes() []byte {
	if b.large != nil {
		return b.large[:]
	}
	if b.small == nil {
		b.small = smallBuffers.Get().(*[2 << 10]byte)
	}
	return b.small[:]
}

// fit is told how much came, once that is dealt with.
func (b *tunnelBuffer) fit(n int) {
	switch {
	case b.large == nil && n == len(b.small):
		b.large = buffers.Get().(*[32 << 10]byte)
	case b.large != nil && n <= len(b.small):
		buffers.Put(b.large)
		b.large = nil
	}
}

func (b *tunnelBuffer) release() {
	if b.small != nil {
		smallBuffers.Put(b.small)
	}
	if b.large != nil {
		buffers.Put(b.large)
	}
}
