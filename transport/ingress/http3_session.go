package ingress

import (
	"context"
	"maps"
	"net"
	"net/netip"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/quic-go/quic-go"
	"github.com/quic-go/quic-go/http3"
)

// sessions are the open connections of HTTP/3.
type sessions struct {
	idle  time.Duration
	quiet atomic.Int64 // after its last request a connection is closed so soon; 0: after idle

	mu   sync.Mutex
	open map[*session]struct{}
}

func newSessions(idle time.Duration) *sessions {
	return &sessions{idle: idle, open: make(map[*session]struct{})}
}

// session is one connection. It is closed when it has been without a request
// for a time: quic-go's own limit would wait for ever for streams on which no
// whole head comes.
type session struct {
	all  *sessions
	conn *quic.Conn

	mu     sync.Mutex
	active int       // requests
	since  time.Time // it has none
	timer  *time.Timer
	closed bool
}

type sessionKey struct{}

func sessionOf(ctx context.Context) *session { return ctx.Value(sessionKey{}).(*session) }

// begin is http3.Server.ConnContext.
func (all *sessions) begin(ctx context.Context, conn *quic.Conn) context.Context {
	s := &session{all: all, conn: conn, since: time.Now()}
	s.mu.Lock()
	all.add(s)
	s.timer = time.AfterFunc(s.patience(), func() { s.expire() }) // after add: drain finds the session, or it finds quiet
	s.mu.Unlock()
	context.AfterFunc(conn.Context(), s.end)
	return context.WithValue(ctx, sessionKey{}, s)
}

// end forgets a connection that is closed.
func (s *session) end() {
	s.mu.Lock()
	s.closed = true
	s.timer.Stop()
	s.mu.Unlock()
	s.all.remove(s)
}

func (all *sessions) add(s *session) {
	all.mu.Lock()
	defer all.mu.Unlock()
	all.open[s] = struct{}{}
}

func (all *sessions) remove(s *session) {
	all.mu.Lock()
	defer all.mu.Unlock()
	delete(all.open, s)
}

func (all *sessions) count() int {
	all.mu.Lock()
	defer all.mu.Unlock()
	return len(all.open)
}

// eachIdle implements place.
func (all *sessions) eachIdle(f func(guest)) {
	all.mu.Lock()
	open := slices.Collect(maps.Keys(all.open))
	all.mu.Unlock()
	for _, s := range open {
		if since, ok := s.mayGo(); ok {
			f(guest{since: since.UnixNano(), shared: true, dismiss: s.expire})
		}
	}
}

// mayGo tells since when the connection has been without a request, and whether
// that is long enough for it to make room: with it goes what of its last response
// has not reached the client yet.
func (s *session) mayGo() (since time.Time, ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.since, s.active == 0 && !s.closed && time.Since(s.since) >= farewell
}

// drain has each connection closed when it was without a request for that long.
// The first call counts.
func (all *sessions) drain(quiet time.Duration) {
	if !all.quiet.CompareAndSwap(0, int64(quiet)) {
		return
	}
	all.mu.Lock()
	open := slices.Collect(maps.Keys(all.open))
	all.mu.Unlock()
	for _, s := range open {
		s.hurry()
	}
}

func (s *session) hurry() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.active == 0 && !s.closed {
		s.timer.Reset(s.patience())
	}
}

// enter counts a request in. It returns false if it is too late for one.
func (s *session) enter() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return false
	}
	s.active++
	s.timer.Stop()
	return true
}

// leave counts a request out.
func (s *session) leave() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.active--; s.active == 0 && !s.closed {
		s.since = time.Now()
		s.timer.Reset(s.patience())
	}
}

// farewell is what a client has at least for what it was sent last, and to
// close the connection by itself.
const farewell = 500 * time.Millisecond

// patience is how long the connection may be without a request.
func (s *session) patience() time.Duration {
	if quiet := time.Duration(s.all.quiet.Load()); quiet > 0 {
		return max(quiet, 4*s.conn.ConnectionStats().SmoothedRTT)
	}
	return s.all.idle
}

// expire closes the connection, if it is still without a request, and reports
// whether it was.
func (s *session) expire() bool {
	s.mu.Lock()
	idle := s.active == 0 && !s.closed
	s.closed = s.closed || idle
	s.mu.Unlock()
	if idle {
		s.conn.CloseWithError(quic.ApplicationErrorCode(http3.ErrCodeNoError), "")
	}
	return idle
}

// peer says where the connection comes from now: its client may change its
// address (RFC 9000, section 9).
func (s *session) peer() peer {
	return peer{client: addrPort(s.conn.RemoteAddr()), port: udpPort(s.conn.LocalAddr()), scheme: "https"}
}

func addrPort(addr net.Addr) netip.AddrPort {
	udp, ok := addr.(*net.UDPAddr)
	if !ok {
		return netip.AddrPort{}
	}
	ap := udp.AddrPort()
	return netip.AddrPortFrom(ap.Addr().Unmap(), ap.Port())
}
