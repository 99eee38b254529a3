package ingress

import (
	"io"
	"net"
	"sync"
	"syscall"

	"kamal-proxy/transport/socket"
)

// inlet waits for a request's first bytes without holding a buffer for them: a
// connection spends most of its life waiting.
type inlet struct {
	conn  *conn
	read  func(fd uintptr) bool // the method, bound once
	block *[inletSize]byte      // nil: none is needed
	have  []byte                // what has come, and was not taken yet
	one   [1]byte               // where have is under TLS
	err   error
}

// inletSize is most heads', with a small body.
const inletSize = 4 << 10

var inletBlocks = sync.Pool{New: func() any { return new([inletSize]byte) }}

func (in *inlet) open(c *conn) {
	in.conn = c
	if c.raw != nil && c.stream == c.socket {
		in.read = in.tryRead
	}
}

// await waits for the first bytes.
func (in *inlet) await() error {
	if in.read == nil { // TLS has a buffer of its own, and may have bytes in it
		n, err := in.conn.stream.Read(in.one[:])
		in.have = in.one[:n]
		return err
	}
	if err := in.conn.raw.Read(in.read); err != nil {
		return err
	}
	return in.err
}

// tryRead reads what is there. It returns false if nothing is, to be called
// again when something may be.
func (in *inlet) tryRead(fd uintptr) bool {
	if !in.conn.stir() {
		in.err = net.ErrClosed
		return true
	}
	in.block = inletBlocks.Get().(*[inletSize]byte)
	n, errno := socket.Read(fd, in.block[:])
	if n > 0 {
		in.have, in.err = in.block[:n], nil
		return true
	}
	in.close()
	in.conn.settle()
	in.err = io.EOF
	if errno != 0 {
		in.err = errno
	}
	return errno != syscall.EAGAIN
}

// has reports whether there is something to take.
func (in *inlet) has() bool { return len(in.have) > 0 }

// take copies bytes to p. The buffer goes back with the last.
func (in *inlet) take(p []byte) int {
	n := copy(p, in.have)
	in.have = in.have[n:]
	if len(in.have) == 0 {
		in.close()
	}
	return n
}

// close gives the buffer back.
func (in *inlet) close() {
	if in.block != nil {
		inletBlocks.Put(in.block)
		in.block = nil
	}
	in.have = nil
}
