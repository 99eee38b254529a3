//go:build linux

package holder

import (
	"errors"
	"os"
	"os/signal"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// catch takes the signals that a holder handles. All others keep what they do
// in any Go program, of which process number 1 is no exception: the runtime
// ends the process itself.
func catch() (signals <-chan os.Signal, stop func()) {
	c := make(chan os.Signal, 64)
	signal.Notify(c, syscall.SIGCHLD, syscall.SIGTERM, syscall.SIGINT, syscall.SIGQUIT,
		syscall.SIGHUP, syscall.SIGUSR1, syscall.SIGUSR2)
	return c, func() { signal.Stop(c) }
}

// reap takes the endings of all processes that have ended: workers, and those
// whose parents left them.
func (h *holder) reap() {
	for {
		var status syscall.WaitStatus
		pid, err := syscall.Wait4(-1, &status, syscall.WNOHANG, nil)
		if errors.Is(err, syscall.EINTR) {
			continue
		}
		if err != nil || pid <= 0 {
			break
		}
		h.ended(pid, ending{status: status})
	}
	if h.worker != 0 && !alive(h.worker) { // its elder waited for it
		h.ended(h.worker, ending{unknown: true})
	}
}

// looked takes that a worker or an elder has ended. Reap takes the ends of our
// children; it may be the child of another elder.
func (h *holder) looked(pid int) {
	h.reap()
	if pid == h.worker || h.elders[pid] {
		h.ended(pid, ending{unknown: true})
	}
}

// awaitEnd tells of the end of a process, whoever its parent is.
func awaitEnd(pid int, ended chan<- int) {
	if !watch(pid) {
		look(pid)
	}
	ended <- pid
}

// watch waits for a process's end. It returns false where the kernel does not
// tell: it is old, or a filter of system calls is.
func watch(pid int) bool {
	fd, err := unix.PidfdOpen(pid, 0)
	if err != nil {
		return errors.Is(err, unix.ESRCH)
	}
	defer unix.Close(fd)
	for {
		n, err := unix.Poll([]unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}, -1)
		if n > 0 {
			return true
		}
		if err != nil && !errors.Is(err, unix.EINTR) {
			return false
		}
	}
}

// look is watch for where nobody tells.
func look(pid int) {
	for alive(pid) {
		time.Sleep(lookPause)
	}
}

const lookPause = 100 * time.Millisecond

// alive reports whether a process is there, be it that nobody has waited for
// it yet.
func alive(pid int) bool { return !errors.Is(syscall.Kill(pid, 0), syscall.ESRCH) }
