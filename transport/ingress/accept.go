package ingress

import (
	"errors"
	"net"
	"os"
	"syscall"
	"time"

	"kamal-proxy/transport/crash"
)

const (
	// roomPause is how long a new connection waits before it looks for room again.
	roomPause = 5 * time.Millisecond
	// retryPause is the same for whatever else keeps one from being accepted.
	retryPause = 20 * time.Millisecond
)

// accept starts a goroutine for each connection. It returns the error that ended
// the listener. Where there is no room, or no descriptor, those that are idle make
// it; while there are none, new connections wait here and in the kernel's queue.
func (s *Server) accept(listener net.Listener) error {
	extensions := 0
	for {
		socket, err := listener.Accept()
		var network net.Error
		switch {
		case err == nil:
			s.admit(socket)
		case errors.Is(err, os.ErrDeadlineExceeded) && extensions < mostExtensions && queued(listener):
			extensions++
			closeSoon(listener)
		case s.draining.Load() || !errors.As(err, &network) || !network.Temporary():
			return err
		case NoDescriptor(err) && s.crowd.FreeDescriptor():
			s.crowding.count(err.Error())
		default:
			s.crowding.count(err.Error())
			time.Sleep(retryPause)
		}
	}
}

// queued reports whether the kernel has connections for a listener whose time is
// up: on a busy machine that can be over before it was used.
func queued(listener net.Listener) bool {
	l, ok := listener.(syscall.Conn)
	if !ok {
		return false
	}
	raw, err := l.SyscallConn()
	return err == nil && readable(raw)
}

// NoDescriptor tells the errors of a process, or a machine, that has as many
// files open as it may.
func NoDescriptor(err error) bool {
	return errors.Is(err, syscall.EMFILE) || errors.Is(err, syscall.ENFILE)
}

func (s *Server) admit(socket net.Conn) {
	for waits := false; !s.crowd.enter(); waits = true {
		if !waits {
			s.crowding.count(errCrowded.Error())
		}
		if s.draining.Load() {
			s.crowd.size.Add(1) // it has been let in, and no other one will be
			break
		}
		time.Sleep(roomPause)
	}
	if !crash.Run("Accepting a connection panicked", func() { s.begin(socket) }) {
		s.crowd.leave()
		socket.Close()
	}
}

func (s *Server) begin(socket net.Conn) {
	c := newConn(s, socket)
	s.conns.add(c)
	go c.serve()
}

var errCrowded = errors.New("there are as many connections as may be, and none of them is idle")

// eachIdle implements place.
func (s *Server) eachIdle(f func(guest)) {
	now := time.Now()
	s.conns.each(func(c *conn) {
		if g, ok := c.guest(now); ok {
			f(g)
		}
	})
	s.http2.EachIdle(func(since time.Time, dismiss func() bool) {
		if now.Sub(since) >= debut {
			f(guest{since: since.UnixNano(), dismiss: dismiss})
		}
	})
}
