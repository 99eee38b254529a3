// Package ingress is the way in: it opens ports, and turns what clients send
// there into exchanges. HTTP/1.x is served on transport/http1, one goroutine a
// connection; HTTP/2, over TLS alone, on transport/http2.
//
// # HTTP/1.x
//
// What is ambiguous is refused by the codec's rules, and the connection closed.
// A response goes out as its Handler gave it, but for what frames it, the
// Connection field, and a Date where there is none. Small bodies go out
// together with their heads. The end of the client is noticed by looking for it:
// see lookout. While a connection waits for a request it holds no buffers.
//
// # What net/http does not let us do
//
// In HTTP/3 the order of header fields is lost: they arrive sorted, in canonical
// case, as they do in lower case on the wire.
package ingress

import (
	"cmp"
	"crypto/tls"
	"fmt"
	"log"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/rs/zerolog"

	"kamal-proxy/transport/clock"
	"kamal-proxy/transport/exchange"
	"kamal-proxy/transport/http1"
	"kamal-proxy/transport/http2"
	"kamal-proxy/transport/trust"
)

// Handler answers one exchange, on the exchange's own goroutine. When it
// returns, the exchange is over; one that was not answered, or of which less
// was written than Respond said, is aborted, and a tunnel is closed.
type Handler func(exchange.Exchange)

// Config says how a Server serves.
type Config struct {
	Handler Handler
	Log     zerolog.Logger

	// TLS makes it an HTTPS server, see TLSConfig. nil: plain HTTP.
	TLS *tls.Config
	// HTTP3Port is where clients find the same over HTTP/3: responses tell
	// them so (Alt-Svc). 0: nowhere.
	HTTP3Port int

	// HeadTimeout is how long a request's head, from its first byte on, and
	// a TLS handshake may take; 0: 10 s.
	HeadTimeout time.Duration
	// IdleTimeout is how long a connection may wait for a request; 0: 620 s,
	// longer than the load balancers in front of us wait.
	IdleTimeout time.Duration
	// BodyStall is how long a read of a request's body may wait for the
	// client; 0: 60 s.
	BodyStall time.Duration
	// MaxHeaderBytes and MaxHeaderFields are how large a request's head may be;
	// 0: 64 KiB, 1,000 fields. HTTP/2 and HTTP/3 count 32 bytes more for each
	// field (RFC 9113, section 6.5.2).
	MaxHeaderBytes, MaxHeaderFields int
	// MaxRequests is how many requests one HTTP/2 connection may bring before
	// it is ended in good order; 0: any number.
	MaxRequests int
	// MaxResets is how many streams of HTTP/2 a client may reset, a second on
	// end, five times as many at once; 0: 100.
	MaxResets int
	// Crowd is what the ports share of their limits; nil: it is this one's own,
	// without limits.
	Crowd *Crowd
	// ProxyProtocol wants a PROXY protocol header, of version 1 or 2, before
	// everything else on each connection that comes from one of Trusted, or on
	// all where that is nil. The client's address is what the header says.
	ProxyProtocol bool
	Trusted       trust.Proxies
	// HTTP2ByNetHTTP has net/http's server serve HTTP/2 instead of ours. It has
	// no BodyStall, and its idle connections make no room.
	HTTP2ByNetHTTP bool
}

const (
	defaultHeadTimeout = 10 * time.Second
	defaultIdleTimeout = 620 * time.Second
	defaultBodyStall   = 60 * time.Second
	defaultHeaderBytes = 64 << 10
	defaultFields      = 1000
)

// Server serves HTTP on the listeners it is given.
type Server struct {
	handler       Handler
	log           zerolog.Logger
	tls           *tls.Config // nil: plain HTTP
	headTimeout   time.Duration
	idleTimeout   time.Duration
	bodyStall     time.Duration
	limits        http1.Limits
	crowd         *Crowd
	complaints    *complaints
	introductions *complaints // PROXY protocol headers that were none
	proxyProtocol bool
	trusted       trust.Proxies
	refusals      *complaints // connections that are too many of one client
	crowding      *complaints // what kept connections from being accepted
	clock         clock.Clock
	webHandler    webHandler
	byNetHTTP     bool

	conns    conns
	lookout  lookout
	http2    *http2.Server
	web      *http.Server
	passage  *passage
	draining atomic.Bool

	mu        sync.Mutex // orders keep and depart
	listeners map[net.Listener]struct{}
	accepting sync.WaitGroup
	serving   sync.WaitGroup // net/http's Serve
	webOnce   sync.Once
}

// NewServer makes a Server that does not serve yet.
func NewServer(config Config) *Server {
	config = config.orDefault()
	s := &Server{
		handler:       config.Handler,
		log:           config.Log,
		headTimeout:   config.HeadTimeout,
		idleTimeout:   config.IdleTimeout,
		bodyStall:     config.BodyStall,
		limits:        http1.Limits{Line: config.MaxHeaderBytes, Head: config.MaxHeaderBytes, Fields: config.MaxHeaderFields},
		crowd:         config.Crowd,
		complaints:    &complaints{log: config.Log},
		introductions: &complaints{log: config.Log, about: "Connections without a PROXY protocol header"},
		proxyProtocol: config.ProxyProtocol,
		trusted:       config.Trusted,
		refusals:      &complaints{log: config.Log, about: "Connections of clients that have too many were closed"},
		crowding:      &complaints{log: config.Log, about: "Connections had to wait, or others made room"},
		conns:         conns{crowd: config.Crowd},
		passage:       newPassage(),
		byNetHTTP:     config.HTTP2ByNetHTTP,
		listeners:     make(map[net.Listener]struct{}),
	}
	s.webHandler = webHandler{handler: s.handler, log: s.log, altSvc: altSvc(config.HTTP3Port)}
	s.lookout.conns = &s.conns
	s.tls = withDesks(config.TLS)
	s.http2 = newHTTP2(s, config)
	s.crowd.add(s)
	s.web = &http.Server{
		Handler:           http.HandlerFunc(s.serveWeb),
		TLSConfig:         s.tls,
		ReadHeaderTimeout: s.headTimeout,
		IdleTimeout:       s.idleTimeout,
		ErrorLog:          log.New(s.complaints, "", 0),
		ConnContext:       withPeer,
		ConnState: func(_ net.Conn, state http.ConnState) {
			if state == http.StateClosed {
				s.conns.passedAway()
			}
		},
		DisableGeneralOptionsHandler: true,
	}
	return s
}

func (c Config) orDefault() Config {
	c.HeadTimeout = cmp.Or(c.HeadTimeout, defaultHeadTimeout)
	c.IdleTimeout = cmp.Or(c.IdleTimeout, defaultIdleTimeout)
	c.BodyStall = cmp.Or(c.BodyStall, defaultBodyStall)
	c.MaxHeaderBytes = cmp.Or(c.MaxHeaderBytes, defaultHeaderBytes)
	c.MaxHeaderFields = cmp.Or(c.MaxHeaderFields, defaultFields)
	if c.Crowd == nil {
		c.Crowd = NewCrowd(CrowdLimits{})
	}
	return c
}

// Serve serves the connections of one listener until Retire or Shutdown, and
// closes the listener. It returns nil after these.
func (s *Server) Serve(listener net.Listener) error {
	defer listener.Close()
	if !s.keep(listener) {
		return nil
	}
	defer s.forget(listener)
	if s.tls != nil {
		s.webOnce.Do(func() { s.serving.Go(func() { s.web.Serve(s.passage) }) })
	}
	if err := s.accept(listener); !s.draining.Load() {
		return fmt.Errorf("unable to serve on %s: %w", listener.Addr(), err)
	}
	return nil
}

// keep makes depart close a listener, unless it is too late for one.
func (s *Server) keep(listener net.Listener) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.draining.Load() {
		return false
	}
	s.listeners[listener] = struct{}{}
	s.accepting.Add(1)
	return true
}

func (s *Server) forget(listener net.Listener) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.listeners, listener)
	s.accepting.Done()
}
