// Package socket makes reads and writes of TCP connections cheap.
//
// The standard library tells the scheduler of each system call, since any may
// take long. One on a socket that does not block takes a few microseconds, less
// than what follows from the telling: the scheduler's watchdog is woken, and
// looks every 20 µs whether the call is over.
package socket

import (
	"io"
	"net"
	"os"
	"sync"
	"syscall"
)

// Conn is a TCP connection. It is used as the one that it was made of, which
// may be used beside it.
type Conn struct {
	*net.TCPConn
	Raw syscall.RawConn
}

// most is how much one call moves that the scheduler is not told of.
const most = 64 << 10

// Of returns a cheap Conn of a TCP connection, and any other one as it is.
func Of(conn net.Conn) net.Conn {
	tcp, ok := conn.(*net.TCPConn)
	if !ok || !cheap {
		return conn
	}
	raw, err := tcp.SyscallConn()
	if err != nil {
		return conn
	}
	return &Conn{tcp, raw}
}

// TCP returns the TCP connection that conn is, or nil.
func TCP(conn any) *net.TCPConn {
	switch c := conn.(type) {
	case *net.TCPConn:
		return c
	case *Conn:
		return c.TCPConn
	}
	return nil
}

// operation is one read or write under way. They are pooled, with their
// functions bound once, so that none costs an allocation.
type operation struct {
	bytes []byte
	n     int
	errno syscall.Errno
	read  func(fd uintptr) bool
	write func(fd uintptr) bool
}

var operations = sync.Pool{New: func() any {
	o := new(operation)
	o.read, o.write = o.tryRead, o.tryWrite
	return o
}}

func begin(p []byte) *operation {
	o := operations.Get().(*operation)
	o.bytes, o.n, o.errno = p, 0, 0
	return o
}

// end gives o back and returns how it ended.
func (o *operation) end(name string, err error) (int, error) {
	n, errno := o.n, o.errno
	o.bytes = nil
	operations.Put(o)
	if err == nil && errno != 0 {
		err = failed(name, errno)
	}
	return n, err
}

func failed(name string, errno syscall.Errno) error {
	return &net.OpError{Op: name, Net: "tcp", Err: os.NewSyscallError(name, errno)}
}

// Read implements io.Reader.
func (c *Conn) Read(p []byte) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	if len(p) > most {
		p = p[:most]
	}
	o := begin(p)
	n, err := o.end("read", c.Raw.Read(o.read))
	if n == 0 && err == nil {
		err = io.EOF
	}
	return n, err
}

func (o *operation) tryRead(fd uintptr) bool {
	o.n, o.errno = Read(fd, o.bytes)
	return o.errno != syscall.EAGAIN
}

// Write implements io.Writer.
func (c *Conn) Write(p []byte) (int, error) {
	if len(p) > most {
		return c.TCPConn.Write(p)
	}
	o := begin(p)
	return o.end("write", c.Raw.Write(o.write))
}

func (o *operation) tryWrite(fd uintptr) bool {
	for len(o.bytes) > 0 {
		n, errno := Write(fd, o.bytes)
		if errno != 0 {
			o.errno = errno
			return errno != syscall.EAGAIN
		}
		o.n += n
		o.bytes = o.bytes[n:]
	}
	o.errno = 0
	return true
}
