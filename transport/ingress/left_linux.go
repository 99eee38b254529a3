package ingress

import (
	"syscall"

	"golang.org/x/sys/unix"
)

// left reports whether the other end has closed its sending side, whatever is
// still to be read of it.
func left(raw syscall.RawConn) bool {
	return polled(raw, unix.POLLRDHUP)&(unix.POLLRDHUP|unix.POLLHUP|unix.POLLERR) != 0
}

// readable reports whether something is to be read, be it the end.
func readable(raw syscall.RawConn) bool { return polled(raw, unix.POLLIN) != 0 }

func polled(raw syscall.RawConn, events int16) (found int16) {
	raw.Control(func(fd uintptr) {
		poll := [1]unix.PollFd{{Fd: int32(fd), Events: events}}
		unix.Poll(poll[:], 0)
		found = poll[0].Revents
	})
	return found
}
