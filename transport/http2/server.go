package http2

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"sync"
	"time"

	"github.com/rs/zerolog"

	"kamal-proxy/transport/clock"
	"kamal-proxy/transport/exchange"
)

// Config says how a Server serves. A zero field means its default.
type Config struct {
	// Handler answers one exchange, on the exchange's own goroutine. When it
	// returns, the exchange is over; one that was not answered, or of which less
	// was written than Respond said, is reset.
	Handler func(exchange.Exchange)
	Log     zerolog.Logger
	// AltSvc is that field's value for responses without one; empty: none.
	AltSvc string

	HeadTimeout time.Duration // for a request's head, from its first byte on; 10 s
	IdleTimeout time.Duration // without any stream; 620 s
	BodyStall   time.Duration // a read of a request's body may wait for the client; 60 s

	MaxStreams     int // at once, on one connection; 250
	MaxHeaderBytes int // of one head, as RFC 9113, section 6.5.2, counts them; 128 KiB
	MaxFields      int // of one head; 1,000
	MaxRequests    int // on one connection, which is then ended in good order; 0: any number
	MaxResets      int // of streams, a second on end; five times as many at once; 100
}

func (c Config) orDefault() Config {
	either(&c.HeadTimeout, 10*time.Second)
	either(&c.IdleTimeout, 620*time.Second)
	either(&c.BodyStall, 60*time.Second)
	either(&c.MaxStreams, 250)
	either(&c.MaxHeaderBytes, 128<<10)
	either(&c.MaxFields, 1000)
	either(&c.MaxResets, 100)
	return c
}

func either[T int | time.Duration](value *T, otherwise T) {
	if *value == 0 {
		*value = otherwise
	}
}

// Peer says who is at a connection's other end, and which way it came.
type Peer struct {
	Client netip.AddrPort
	Port   int    // of ours
	Scheme string // "https"
}

// Server serves HTTP/2 on the connections that it is given.
type Server struct {
	config Config
	clock  clock.Clock

	mu     sync.Mutex
	conns  map[*conn]struct{}
	quiet  time.Duration // that a client still has to ask for something; 0: not departing
	closed bool          // no other connection may begin
	none   chan struct{} // closed when the last connection goes; nil: nobody waits
}

// NewServer makes a Server.
func NewServer(config Config) *Server {
	return &Server{config: config.orDefault(), conns: make(map[*conn]struct{})}
}

// Serve serves one connection until it ends, and closes it. The client's preface
// (RFC 9113, section 3.4) is still to come; a TLS handshake has been made. The
// error says why the connection ended, but for what is in good order.
func (s *Server) Serve(socket net.Conn, peer Peer) error {
	c := newConn(s, socket, peer)
	quiet, ok := s.add(c)
	if !ok {
		return socket.Close()
	}
	defer s.remove(c)
	if quiet > 0 {
		c.retireSoon(quiet)
	}
	return c.serve()
}

// Count returns how many connections there are.
func (s *Server) Count() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.conns)
}

// EachIdle calls f with each connection that is without a stream, and since
// when. dismiss ends it within a moment, if that is so still, and reports that.
func (s *Server) EachIdle(f func(since time.Time, dismiss func() bool)) {
	s.each(func(c *conn) {
		if since, idle := c.idleSince(); idle {
			f(since, c.dismiss)
		}
	})
}

// Retire has all connections go in good order (GOAWAY), and those that are still
// to be served. A client that has not asked for anything yet is told after the
// answer to its first request, or when quiet has passed without one. It does not
// wait.
func (s *Server) Retire(quiet time.Duration) {
	s.mu.Lock()
	s.quiet = quiet
	s.mu.Unlock()
	s.each(func(c *conn) { c.retireSoon(quiet) })
}

// Shutdown tells all clients to go (GOAWAY), and waits for requests to end.
// Connections that are still there when ctx ends are cut off, and the error says
// so.
func (s *Server) Shutdown(ctx context.Context) error {
	none := s.close()
	if none == nil {
		return nil
	}
	s.each((*conn).retire)
	select {
	case <-none:
		return nil
	case <-ctx.Done():
	}
	s.each((*conn).cut)
	select {
	case <-none:
	case <-time.After(lingerTime): // their Handlers are told, but may take their time
	}
	return fmt.Errorf("HTTP/2 connections that were still open have been cut off: %w", context.Cause(ctx))
}

// Close cuts all connections off.
func (s *Server) Close() {
	s.close()
	s.each((*conn).cut)
}

// close lets no connection begin. It returns what is closed when none is left,
// or nil if there is none.
func (s *Server) close() <-chan struct{} {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closed = true
	if len(s.conns) == 0 {
		return nil
	}
	if s.none == nil {
		s.none = make(chan struct{})
	}
	return s.none
}

func (s *Server) each(f func(*conn)) {
	s.mu.Lock()
	conns := make([]*conn, 0, len(s.conns))
	for c := range s.conns {
		conns = append(conns, c)
	}
	s.mu.Unlock()
	for _, c := range conns {
		f(c)
	}
}

func (s *Server) add(c *conn) (quiet time.Duration, ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return 0, false
	}
	s.conns[c] = struct{}{}
	return s.quiet, true
}

func (s *Server) remove(c *conn) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.conns, c)
	if len(s.conns) == 0 && s.none != nil {
		close(s.none)
		s.none = nil
	}
}
