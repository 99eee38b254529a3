package ingress

import (
	"crypto/tls"
	"strings"

	"kamal-proxy/transport/http2"
)

func newHTTP2(s *Server, config Config) *http2.Server {
	return http2.NewServer(http2.Config{
		Handler:        config.Handler,
		Log:            config.Log,
		AltSvc:         strings.Join(s.webHandler.altSvc, ", "),
		HeadTimeout:    config.HeadTimeout,
		IdleTimeout:    config.IdleTimeout,
		BodyStall:      config.BodyStall,
		MaxHeaderBytes: config.MaxHeaderBytes,
		MaxFields:      config.MaxHeaderFields,
		MaxRequests:    config.MaxRequests,
		MaxResets:      config.MaxResets,
	})
}

// serveHTTP2 serves the connection to its end, be it by net/http's server.
func (c *conn) serveHTTP2(secure *tls.Conn) {
	if !c.state.CompareAndSwap(greeting, passed) {
		return
	}
	s := c.server
	s.conns.pass(c)
	if s.byNetHTTP {
		c.passOn(secure)
		return
	}
	defer s.conns.passedAway()
	err := s.http2.Serve(secure, http2.Peer{Client: c.peer.client, Port: c.peer.port, Scheme: c.peer.scheme})
	if err != nil {
		s.log.Debug().Err(err).Str("client", c.peer.client.String()).Msg("Connection failed")
	}
}
