package ingress

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"sync"
	"time"
)

// shakeHands makes the TLS handshake. It reports whether HTTP/1.x follows: a
// connection that speaks HTTP/2 is served to its end.
func (c *conn) shakeHands() bool {
	secure := c.stream.(*tls.Conn)
	by := c.rest().Add(c.server.headTimeout)
	c.socket.SetDeadline(by)
	c.desk.by, c.desk.inLine = by, true
	err := secure.HandshakeContext(context.Background())
	c.desk.inLine = false
	c.desk.leave()
	if err != nil {
		c.server.complaints.handshake(c.peer.client.String(), err)
		c.answerPlain(err)
		return false
	}
	c.socket.SetDeadline(time.Time{})
	if secure.ConnectionState().NegotiatedProtocol != "h2" {
		return true
	}
	c.serveHTTP2(secure)
	return false
}

// withDesks has a handshake leave its desk while it waits for its certificate,
// which may have to be got first.
func withDesks(policy *tls.Config) *tls.Config {
	if policy == nil || policy.GetCertificate == nil {
		return policy
	}
	config := policy.Clone()
	config.GetCertificate = func(hello *tls.ClientHelloInfo) (*tls.Certificate, error) {
		g, ok := hello.Conn.(gate)
		if !ok {
			return policy.GetCertificate(hello)
		}
		g.conn.desk.leave()
		certificate, err := policy.GetCertificate(hello)
		if err == nil && !g.conn.desk.take() {
			err = os.ErrDeadlineExceeded
		}
		return certificate, err
	}
	return config
}

// answerPlain tells a client that spoke HTTP where TLS is spoken.
func (c *conn) answerPlain(err error) {
	var header tls.RecordHeaderError
	if !errors.As(err, &header) || !looksLikeHTTP(header.RecordHeader) {
		return
	}
	io.WriteString(c.socket, "HTTP/1.1 400 Bad Request\r\nContent-Type: text/plain\r\nConnection: close\r\n\r\n"+
		"This port speaks HTTPS, and the request came in plain HTTP.\n")
	closeWrite(c.socket)
}

func looksLikeHTTP(start [5]byte) bool {
	switch string(start[:]) {
	case "GET /", "HEAD ", "POST ", "PUT /", "OPTIO", "PATCH", "DELET":
		return true
	}
	return false
}

// passOn gives the connection to net/http.
func (c *conn) passOn(secure *tls.Conn) {
	if !c.server.passage.send(secure) {
		c.server.conns.passedAway()
		secure.Close()
	}
}

// passage is the listener of net/http's server: the connections that it accepts
// come from the ports of ours.
type passage struct {
	conns  chan net.Conn
	closed chan struct{}
	once   sync.Once
}

func newPassage() *passage {
	return &passage{conns: make(chan net.Conn), closed: make(chan struct{})}
}

// send reports whether the connection was accepted.
func (p *passage) send(conn net.Conn) bool {
	select {
	case p.conns <- conn:
		return true
	case <-p.closed:
		return false
	}
}

// Accept implements net.Listener, as do Close and Addr.
func (p *passage) Accept() (net.Conn, error) {
	select {
	case conn := <-p.conns:
		return conn, nil
	case <-p.closed:
		return nil, http.ErrServerClosed
	}
}

func (p *passage) Close() error {
	p.once.Do(func() { close(p.closed) })
	return nil
}

func (p *passage) Addr() net.Addr { return &net.TCPAddr{} }
