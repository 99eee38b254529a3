package socket

import (
	"syscall"

	"golang.org/x/sys/unix"
)

func newEnds() *ends {
	var fds [2]int
	if unix.Pipe2(fds[:], unix.O_CLOEXEC|unix.O_NONBLOCK) != nil {
		return nil
	}
	// Where that is not allowed, it holds less.
	unix.FcntlInt(uintptr(fds[1]), unix.F_SETPIPE_SZ, PipeRoom)
	return &ends{read: fds[0], write: fds[1]}
}

func (e *ends) close() {
	if e.read >= 0 {
		unix.Close(e.read)
		unix.Close(e.write)
		e.read, e.write = -1, -1
	}
}

// splice moves up to n bytes between a pipe and a socket. It never waits.
func splice(from, to, n int) (int, syscall.Errno) {
	for {
		moved, errno := int64(0), syscall.Errno(0)
		if n <= most {
			m, _, e := syscall.RawSyscall6(syscall.SYS_SPLICE, uintptr(from), 0, uintptr(to), 0, uintptr(n), spliceFlags)
			moved, errno = int64(m), e
		} else {
			var err error
			moved, err = unix.Splice(from, nil, to, nil, n, spliceFlags)
			errno, _ = err.(syscall.Errno)
		}
		switch errno {
		case 0:
			return int(moved), 0
		case syscall.EINTR:
		default:
			return 0, errno
		}
	}
}

const spliceFlags = unix.SPLICE_F_MOVE | unix.SPLICE_F_NONBLOCK
