package ingress

import (
	"context"
	"crypto/tls"
	"net"
	"net/http"
	"net/netip"
)

// connection is what all requests of one connection share.
type connection struct {
	net.Conn
	client netip.AddrPort
	port   int
	scheme string
}

type connectionKey struct{}

// withConnection is http.Server.ConnContext.
func withConnection(ctx context.Context, conn net.Conn) context.Context {
	c := &connection{Conn: conn, scheme: "http"}
	if _, ok := conn.(*tls.Conn); ok {
		c.scheme = "https"
	}
	if addr, ok := conn.RemoteAddr().(*net.TCPAddr); ok {
		peer := addr.AddrPort()
		c.client = netip.AddrPortFrom(peer.Addr().Unmap(), peer.Port())
	}
	if addr, ok := conn.LocalAddr().(*net.TCPAddr); ok {
		c.port = addr.Port
	}
	return context.WithValue(ctx, connectionKey{}, c)
}

func connectionOf(r *http.Request) *connection {
	return r.Context().Value(connectionKey{}).(*connection)
}

// raw is the connection below TLS. Closing it says no goodbye, so that a
// response that ends there does not look whole.
func raw(conn net.Conn) net.Conn {
	if secure, ok := conn.(*tls.Conn); ok {
		return secure.NetConn()
	}
	return conn
}
