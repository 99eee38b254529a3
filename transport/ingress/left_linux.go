package ingress

import (
	"syscall"

	"golang.org/x/sys/unix"
)

// left reports whether the other end has closed its sending side, whatever is
// still to be read of it.
func left(raw syscall.RawConn) (closed bool) {
	raw.Control(func(fd uintptr) {
		poll := [1]unix.PollFd{{Fd: int32(fd), Events: unix.POLLRDHUP}}
		unix.Poll(poll[:], 0)
		closed = poll[0].Revents&(unix.POLLRDHUP|unix.POLLHUP|unix.POLLERR) != 0
	})
	return closed
}
