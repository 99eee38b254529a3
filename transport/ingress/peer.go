package ingress

import (
	"context"
	"crypto/tls"
	"net"
	"net/http"
	"net/netip"
)

// peer says who is at a connection's other end, and which way it came.
type peer struct {
	client netip.AddrPort
	port   int // of ours
	scheme string
}

func peerOf(conn net.Conn) peer {
	p := peer{scheme: "http"}
	if _, ok := conn.(*tls.Conn); ok {
		p.scheme = "https"
	}
	if addr, ok := conn.RemoteAddr().(*net.TCPAddr); ok {
		client := addr.AddrPort()
		p.client = netip.AddrPortFrom(client.Addr().Unmap(), client.Port())
	}
	if addr, ok := conn.LocalAddr().(*net.TCPAddr); ok {
		p.port = addr.Port
	}
	return p
}

type peerKey struct{}

// withPeer is http.Server.ConnContext.
func withPeer(ctx context.Context, conn net.Conn) context.Context {
	p := peerOf(conn)
	return context.WithValue(ctx, peerKey{}, &p)
}

func webPeer(r *http.Request) *peer { return r.Context().Value(peerKey{}).(*peer) }
