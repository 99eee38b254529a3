//go:build !linux

package ingress

import "syscall"

// left reports whether the other end has closed its sending side, and nothing
// is left to be read of it.
func left(raw syscall.RawConn) bool {
	n, err := peek(raw)
	return n == 0 && err == nil
}

// readable reports whether something is to be read, be it the end.
func readable(raw syscall.RawConn) bool {
	_, err := peek(raw)
	return err == nil
}

func peek(raw syscall.RawConn) (n int, err error) {
	raw.Control(func(fd uintptr) {
		var one [1]byte
		n, _, err = syscall.Recvfrom(int(fd), one[:], syscall.MSG_PEEK|syscall.MSG_DONTWAIT)
	})
	return n, err
}
