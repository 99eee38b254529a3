package socket

import (
	"io"
	"net"
	"runtime"
	"sync"
	"syscall"
)

// Pipe holds bytes on their way from one TCP connection to another, within the
// kernel: they are not copied. It is used by one goroutine at a time.
type Pipe struct {
	ends   *ends
	held   int // bytes that it holds
	n      int // to be moved
	moved  int
	errno  syscall.Errno
	peeked [1]byte
	fill   func(fd uintptr) bool // bound once
	drain  func(fd uintptr) bool
}

// ends are a pipe's descriptors.
type ends struct{ read, write int }

// PipeRoom is how many bytes a pipe is asked to hold. It may hold less, of small
// pieces much less.
const PipeRoom = 1 << 20

// errFull says that nothing more goes into a pipe.
const errFull = syscall.ENOSPC

var pipes sync.Pool

// NewPipe returns an empty Pipe, to be given back by Close, or nil where there
// is none to be had.
func NewPipe() *Pipe {
	if p, ok := pipes.Get().(*Pipe); ok {
		return p
	}
	e := newEnds()
	if e == nil {
		return nil
	}
	p := &Pipe{ends: e}
	p.fill, p.drain = p.tryFill, p.tryDrain
	runtime.AddCleanup(p, (*ends).close, e)
	return p
}

// Close drops what the pipe holds. It may be called on nil.
func (p *Pipe) Close() {
	switch {
	case p == nil:
	case p.held == 0:
		pipes.Put(p)
	default: // its bytes would be the next one's
		p.ends.close()
		p.ends = &ends{-1, -1}
	}
}

// Held returns how many bytes the pipe holds.
func (p *Pipe) Held() int { return p.held }

// Fill moves what has come in on a connection into the pipe, most bytes at most,
// and waits until that is at least one. The error is io.EOF at the connection's
// end. It may also be that the pipe is full.
func (p *Pipe) Fill(from net.Conn, most int64) (int, error) {
	raw, err := rawOf(from)
	if err != nil {
		return 0, err
	}
	p.n, p.moved, p.errno = int(min(most, PipeRoom)), 0, 0
	err = raw.Read(p.fill)
	p.held += p.moved
	switch {
	case err != nil:
		return p.moved, err
	case p.errno != 0:
		return 0, failed("splice", p.errno)
	case p.moved == 0:
		return 0, io.EOF
	}
	return p.moved, nil
}

func (p *Pipe) tryFill(fd uintptr) bool {
	p.moved, p.errno = splice(int(fd), p.ends.write, p.n)
	if p.errno == syscall.EAGAIN && p.held > 0 {
		if _, nothing := Peek(fd, &p.peeked); nothing != syscall.EAGAIN {
			p.errno = errFull
		}
	}
	return p.errno != syscall.EAGAIN
}

// Read takes bytes out of the pipe, for a way through the process after all. It
// never waits: the error is io.EOF when the pipe is empty.
func (p *Pipe) Read(b []byte) (int, error) {
	if p.held == 0 {
		return 0, io.EOF
	}
	n, errno := Read(uintptr(p.ends.read), b)
	if errno != 0 {
		return 0, failed("read", errno)
	}
	p.held -= n
	return n, nil
}

// Drain moves all that the pipe holds to a connection, and returns how much
// that was. What stays after an error is not to be had again.
func (p *Pipe) Drain(to net.Conn) (int, error) {
	raw, err := rawOf(to)
	if err != nil {
		return 0, err
	}
	p.moved, p.errno = 0, 0
	err = raw.Write(p.drain)
	if err == nil && p.errno != 0 {
		err = failed("splice", p.errno)
	}
	return p.moved, err
}

func (p *Pipe) tryDrain(fd uintptr) bool {
	for p.held > 0 {
		n, errno := splice(p.ends.read, int(fd), p.held)
		if errno == 0 && n == 0 {
			errno = syscall.EIO
		}
		if p.errno = errno; errno != 0 {
			return errno != syscall.EAGAIN
		}
		p.held -= n
		p.moved += n
	}
	return true
}

func rawOf(conn net.Conn) (syscall.RawConn, error) {
	if c, ok := conn.(*Conn); ok {
		return c.Raw, nil
	}
	sc, ok := conn.(syscall.Conn)
	if !ok {
		return nil, syscall.EINVAL
	}
	return sc.SyscallConn()
}
