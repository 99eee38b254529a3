package exchange

import "net"

// Source is a body that can be had from its connection without passing through
// the process; a Response's Body may be one.
type Source interface {
	// Rest returns the connection on which the next bytes are nothing but the
	// body's, and how many; 0: there are none like that.
	Rest() (*net.TCPConn, int64)
	// Took says that n of them were read from there.
	Took(n int64)
}

// Sink is an Exchange that can move a body within the kernel.
type Sink interface {
	// Splice moves n bytes from a connection to the client, as a part of the
	// body, and returns how many it did. Whose fault an error is, the next Read
	// or Write tells. It moves nothing, without an error, where it cannot.
	Splice(from *net.TCPConn, n int64) (int64, error)
}
