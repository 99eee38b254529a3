// Package ingress is the way in: it opens ports, and turns what clients send
// there into exchanges. A Server speaks HTTP/1.1 and, over TLS, HTTP/2 by
// net/http.
//
// # What net/http does not let us refuse
//
// It takes two kinds of HTTP/1 message that RFC 9112, section 6.1, calls likely
// attacks, and hides that it did: Content-Length beside Transfer-Encoding (it
// drops the length), and Transfer-Encoding in HTTP/1.0 (it drops the field and
// sees no body). Neither can smuggle a second request through a Server, because
// the connection is closed after the response to any HTTP/1.0 request and to
// any chunked one. Beyond that, the order and the case of header fields are lost:
// they arrive sorted, in canonical case.
package ingress

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log"
	"net"
	"net/http"
	"time"

	"github.com/rs/zerolog"

	"kamal-proxy/transport/exchange"
)

// Handler answers one exchange, on the exchange's own goroutine. When it
// returns, the exchange is over; one that was not answered, or of which less
// was written than Respond said, is aborted.
type Handler func(exchange.Exchange)

// Config says how a Server serves.
type Config struct {
	Handler Handler
	Log     zerolog.Logger

	// TLS makes it an HTTPS server, see TLSConfig. nil: plain HTTP.
	TLS *tls.Config

	// HeadTimeout is how long a request's head, and a TLS handshake, may
	// take; 0: 10 s.
	HeadTimeout time.Duration
	// IdleTimeout is how long a connection may wait for its next request;
	// 0: 620 s, longer than the load balancers in front of us wait.
	IdleTimeout time.Duration
}

const (
	defaultHeadTimeout = 10 * time.Second
	defaultIdleTimeout = 620 * time.Second
)

// Server serves HTTP on the listeners it is given.
type Server struct {
	handler    Handler
	log        zerolog.Logger
	web        *http.Server
	tunnels    tunnels
	complaints *complaints
}

// NewServer makes a Server that does not serve yet.
func NewServer(config Config) *Server {
	if config.HeadTimeout == 0 {
		config.HeadTimeout = defaultHeadTimeout
	}
	if config.IdleTimeout == 0 {
		config.IdleTimeout = defaultIdleTimeout
	}
	s := &Server{
		handler:    config.Handler,
		log:        config.Log,
		complaints: &complaints{log: config.Log},
	}
	s.web = &http.Server{
		Handler:           http.HandlerFunc(s.serve),
		TLSConfig:         config.TLS,
		ReadHeaderTimeout: config.HeadTimeout,
		IdleTimeout:       config.IdleTimeout,
		ErrorLog:          log.New(s.complaints, "", 0),
		ConnContext:       withConnection,

		DisableGeneralOptionsHandler: true,
	}
	return s
}

// Serve serves the connections of one listener until Shutdown, and closes the
// listener. It returns nil after Shutdown.
func (s *Server) Serve(listener net.Listener) error {
	var err error
	if s.web.TLSConfig != nil {
		err = s.web.ServeTLS(listener, "", "")
	} else {
		err = s.web.Serve(listener)
	}
	if errors.Is(err, http.ErrServerClosed) {
		return nil
	}
	return fmt.Errorf("unable to serve on %s: %w", listener.Addr(), err)
}

// Shutdown closes the listeners and idle connections, and waits for requests
// and tunnels to end. Those that have not when ctx ends are cut off, and the
// error says so.
func (s *Server) Shutdown(ctx context.Context) error {
	err := s.web.Shutdown(ctx)
	if err == nil {
		err = s.tunnels.wait(ctx)
	}
	if err != nil {
		s.web.Close()
		s.tunnels.cut()
		err = fmt.Errorf("what was still open when the time to shut down was up has been cut off: %w", err)
	}
	s.complaints.close()
	return err
}

// serve is the way of one request from net/http to the Handler.
func (s *Server) serve(w http.ResponseWriter, r *http.Request) {
	target, status := requestTarget(r)
	if status != 0 {
		refuse(w, status)
		return
	}
	e := newWebExchange(s, w, r, target)
	defer e.end()
	s.handler(e)
}

// refuse answers what cannot be an exchange, in the way of net/http's own
// refusals.
func refuse(w http.ResponseWriter, status int) {
	w.Header().Set("Connection", "close")
	http.Error(w, fmt.Sprintf("%d %s", status, http.StatusText(status)), status)
}
