package ingress

import (
	"context"
	"fmt"
	"net"
	"time"
)

// An HTTP/1.x client cannot be told that its idle connection is about to be
// closed: one that sends its next request in that moment loses it. All that can
// be done is to wait until nothing is on its way any more, so an idle connection
// is closed when it has been quiet for a while since the departure began.
const (
	// retireQuiet is long, since a successor takes the new connections meanwhile:
	// nobody waits for us to end, and pools of clients that turn their connections
	// over have done so.
	retireQuiet = 5 * time.Second
	// shutdownQuiet is longer than a packet's way around the earth and back:
	// whatever was sent before the client could know is served. What is sent later
	// could as well meet a port that is closed.
	shutdownQuiet = 500 * time.Millisecond
	// backlogTime is how long connections are still accepted that the kernel has
	// opened for us, and mostExtensions how often there is as much again for those
	// that are left: where new ones keep coming, some come too late in any case.
	backlogTime    = 20 * time.Millisecond
	mostExtensions = 10
)

// Retire begins the departure of a server that has a successor. Its listeners
// are closed at once: where others have them too, connections that are not
// accepted yet are theirs. Handshakes, heads and requests under way are served,
// and so are requests that come later, but each answer is the last one on its
// connection (Connection: close; GOAWAY, RFC 9113, section 6.8). Idle connections
// are closed after 5 s. Retire does not wait for any of that: see Shutdown.
func (s *Server) Retire() { s.depart(retireQuiet, net.Listener.Close) }

// Shutdown waits for requests and tunnels to end. Those that have not when ctx
// ends are cut off, and the error says so. Without a Retire before it begins
// with one, of which idle connections are closed after half a second.
func (s *Server) Shutdown(ctx context.Context) error {
	s.depart(shutdownQuiet, closeSoon)
	var err error
	if s.byNetHTTP {
		err = s.web.Shutdown(ctx)
	}
	if err == nil {
		err = s.conns.wait(ctx)
	}
	if err != nil {
		s.web.Close()
		s.conns.cut()
		s.http2.Shutdown(ctx)
		err = fmt.Errorf("what was still open when the time to shut down was up has been cut off: %w", err)
	}
	s.http2.Close()
	s.passage.Close()
	s.web.Close()
	s.serving.Wait()
	for _, c := range [...]*complaints{s.complaints, s.introductions, s.refusals, s.crowding} {
		c.close()
	}
	return err
}

// depart has the connections go, once.
func (s *Server) depart(quiet time.Duration, end func(net.Listener) error) {
	s.mu.Lock()
	begun := s.draining.Swap(true)
	if !begun {
		for listener := range s.listeners {
			end(listener)
		}
	}
	s.mu.Unlock()
	s.accepting.Wait()
	if begun {
		return
	}
	s.http2.Retire(quiet)
	s.web.SetKeepAlivesEnabled(false)
	time.AfterFunc(quiet, func() { s.sweep(quiet) })
}

// closeSoon has a listener accept what waits in the kernel's queue, and fail
// then: to close it at once would reset these connections.
func closeSoon(listener net.Listener) error {
	if l, ok := listener.(interface{ SetDeadline(time.Time) error }); ok {
		return l.SetDeadline(time.Now().Add(backlogTime))
	}
	return listener.Close()
}

// sweep closes the connections that have been quiet for long enough, until there
// are none left.
func (s *Server) sweep(quiet time.Duration) {
	since := time.Now().Add(-quiet).UnixNano()
	left := 0
	s.conns.each(func(c *conn) {
		if c.quiet.Load() > since || c.stirs() || !c.closeIdle() {
			left++
		}
	})
	if left > 0 {
		time.AfterFunc(quiet/8, func() { s.sweep(quiet) })
	}
}

// stirs reports whether something has come that was not read yet.
func (c *conn) stirs() bool { return c.raw != nil && readable(c.raw) }
