//go:build linux && !race

package socket

import (
	"syscall"
	"unsafe"
)

const cheap = true

// Read reads what has come in on a socket that does not block. For use within
// the functions that a syscall.RawConn is given.
func Read(fd uintptr, p []byte) (int, syscall.Errno) {
	return call(syscall.SYS_READ, fd, unsafe.Pointer(unsafe.SliceData(p)), len(p), 0)
}

// Write is for writing what Read is for reading.
func Write(fd uintptr, p []byte) (int, syscall.Errno) {
	return call(syscall.SYS_WRITE, fd, unsafe.Pointer(unsafe.SliceData(p)), len(p), 0)
}

// Writev is Write for several pieces.
func Writev(fd uintptr, pieces []syscall.Iovec) (int, syscall.Errno) {
	return call(syscall.SYS_WRITEV, fd, unsafe.Pointer(unsafe.SliceData(pieces)), len(pieces), 0)
}

// Peek reports by nil that something, or the end, has come in, without taking
// it, and by EAGAIN that nothing has.
func Peek(fd uintptr, p *[1]byte) (int, syscall.Errno) {
	return call(syscall.SYS_RECVFROM, fd, unsafe.Pointer(p), 1, syscall.MSG_PEEK|syscall.MSG_DONTWAIT)
}

func call(number, fd uintptr, p unsafe.Pointer, n int, flags uintptr) (int, syscall.Errno) {
	for {
		done, _, errno := syscall.RawSyscall6(number, fd, uintptr(p), uintptr(n), flags, 0, 0)
		switch errno {
		case 0:
			return int(done), 0
		case syscall.EINTR:
		default:
			return 0, errno
		}
	}
}
