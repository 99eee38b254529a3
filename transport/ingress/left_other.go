//go:build !linux

package ingress

import "syscall"

// left reports whether the other end has closed its sending side, and nothing
// is left to be read of it.
func left(raw syscall.RawConn) (closed bool) {
	raw.Control(func(fd uintptr) {
		var one [1]byte
		n, _, err := syscall.Recvfrom(int(fd), one[:], syscall.MSG_PEEK|syscall.MSG_DONTWAIT)
		closed = n == 0 && err == nil
	})
	return closed
}
