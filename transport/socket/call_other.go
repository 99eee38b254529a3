//go:build !linux || race

package socket

import (
	"errors"
	"syscall"
	"unsafe"
)

// The race detector knows what the standard library's calls read and write.
const cheap = false

// Read reads what has come in on a socket that does not block. For use within
// the functions that a syscall.RawConn is given.
func Read(fd uintptr, p []byte) (int, syscall.Errno) {
	for {
		n, err := syscall.Read(int(fd), p)
		if err != syscall.EINTR {
			return max(n, 0), number(err)
		}
	}
}

// Write is for writing what Read is for reading.
func Write(fd uintptr, p []byte) (int, syscall.Errno) {
	for {
		n, err := syscall.Write(int(fd), p)
		if err != syscall.EINTR {
			return max(n, 0), number(err)
		}
	}
}

// Writev is Write for several pieces.
func Writev(fd uintptr, pieces []syscall.Iovec) (int, syscall.Errno) {
	written := 0
	for _, piece := range pieces {
		n, errno := Write(fd, unsafe.Slice(piece.Base, piece.Len))
		written += n
		switch {
		case errno != 0 && written > 0:
			return written, 0
		case errno != 0 || uint64(n) < uint64(piece.Len):
			return written, errno
		}
	}
	return written, 0
}

// Peek reports by nil that something, or the end, has come in, without taking
// it, and by EAGAIN that nothing has.
func Peek(fd uintptr, p *[1]byte) (int, syscall.Errno) {
	for {
		n, _, err := syscall.Recvfrom(int(fd), p[:], syscall.MSG_PEEK|syscall.MSG_DONTWAIT)
		if err != syscall.EINTR {
			return max(n, 0), number(err)
		}
	}
}

func number(err error) syscall.Errno {
	var errno syscall.Errno
	switch {
	case err == nil:
		return 0
	case errors.As(err, &errno):
		return errno
	}
	return syscall.EIO
}
