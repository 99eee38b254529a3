// Package exchange is the one abstraction that the proxy's stages are written
// on: a request and its response, whatever the protocol they travel in. The
// ingress implements it for each protocol on the client's side; upstream sends
// its Request to a target and returns its Response.
package exchange

import (
	"context"
	"errors"
	"io"
	"net"
	"net/netip"
)

// ErrNoUpgrade is returned by Exchange.Upgrade where the protocol has none.
var ErrNoUpgrade = errors.New("the client's protocol cannot be upgraded")

// Request is a request's head and body. Its strings may live in a buffer of
// the connection: they hold until the exchange ends, and not longer.
type Request struct {
	Method    string
	Target    string // origin-form as it came: path and query, or "*"
	Path      string // Target up to the query, not decoded
	Query     string // Target after the first "?", not decoded
	HasQuery  bool   // tells "/x?" from "/x"
	Authority string // the Host header or :authority, as it came
	Scheme    string // "http" or "https": how the client asked us
	Proto     string // "HTTP/1.1", "HTTP/2.0", …
	Header    Header // without Host; hop-by-hop fields are still there

	// ContentLength is the body's, 0 if there is none, -1 if it is not known
	// before the body's end.
	ContentLength int64
	// Body is never nil. Reading it may make the ingress send 100 Continue.
	// A read fails if the client breaks its message or leaves.
	Body io.Reader
	// Trailer returns the trailer fields once Body has returned io.EOF.
	Trailer func() Header

	// Upgrade is the protocol the client asks to switch to ("websocket"), or
	// empty.
	Upgrade string

	Client netip.AddrPort // the connection's other end
	Port   int            // of ours, that the client connected to
}

// Response is a target's final response. Close must be called once it has
// been read, or was not wanted.
type Response struct {
	Status        int
	Header        Header // hop-by-hop fields are still there
	ContentLength int64  // -1: not known, 0 for HEAD, 204 and 304 too: see Header
	Body          io.Reader
	Trailer       func() Header
	// Tunnel is the connection after 101 Switching Protocols, else nil. It
	// has what the target sent after its head, too.
	Tunnel Tunnel
	Close  func() error
}

// Tunnel is one side of an upgraded connection.
type Tunnel interface {
	net.Conn
	// CloseWrite tells the other end that nothing more will come.
	CloseWrite() error
}

// Exchange is one request and the response it is to get. Its methods are
// called by one goroutine, but for Context and Abort.
type Exchange interface {
	// Request returns the request; the stages change its Header in place.
	Request() *Request

	// Context ends when the client has gone or the exchange is over. What
	// context.AfterFunc was given, or a child context, hears of both; nobody
	// may still wait for Done itself when the exchange is over.
	Context() context.Context

	// Inform sends an interim response (1xx other than 101). It is dropped
	// where the client's protocol does not know them (HTTP/1.0).
	Inform(status int, header Header) error

	// Respond sends the final response's head, once. As with Inform and Trail,
	// header and its strings are the caller's again when it returns. length is the body's
	// in bytes, -1 if it is not known. header has no hop-by-hop fields; a
	// Content-Length in it (HEAD, 304) is passed on as it is.
	Respond(status int, header Header, length int64) error

	// Write sends a part of the body. Nothing is sent for HEAD, 204 and 304.
	Write(p []byte) (int, error)

	// Flush pushes out what Write may hold back.
	Flush() error

	// Trail sends the trailers and ends the body; announce them in
	// Respond's header (Trailer) where that is possible.
	Trail(trailer Header) error

	// Upgrade answers with 101 and hands over the connection, or returns
	// ErrNoUpgrade. Afterwards only Context and Abort may be used, and the
	// strings of the request must not be. The tunnel ends with the exchange.
	Upgrade(header Header) (Tunnel, error)

	// Abort breaks the response off so that the client can tell: the
	// connection is closed, or the stream reset. It may be called at any
	// time, from any goroutine.
	Abort()

	// Sent returns the final response's status (0: none yet), and the bytes
	// of its body that were written.
	Sent() (status int, bytes int64)
}
