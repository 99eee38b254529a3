package exchange

import "kamal-proxy/transport/socket"

// Source is a body that can be had from its connection without passing through
// the process; the Body of a Request or a Response may be one.
type Source interface {
	// Fill moves bytes of the body into a pipe, if at least least of them are
	// to come and nothing else is before them on the connection. It waits until
	// that is at least one, and returns how many it did. Why it did none, the
	// next Read tells, unless the pipe is full.
	Fill(pipe *socket.Pipe, least int64) int
}

// Sink is an Exchange that can move a body within the kernel.
type Sink interface {
	// Drains reports whether the rest of the body can be sent by Drain; before
	// Respond, whether one with a Content-Length could be.
	Drains() bool
	// Drain moves all that the pipe holds to the client, as a part of the body,
	// and returns how much it did.
	Drain(pipe *socket.Pipe) (int, error)
}

// WorthAPipe is how many bytes are to come of a body for which a pipe is taken.
const WorthAPipe = 32 << 10

// Kept is a body that can be in memory as a whole; the Body of a Request may be
// one.
type Kept interface {
	// Memory appends the pieces of the body to parts, if all of it is in memory
	// and nothing was read yet; else it returns nil. They hold as long as the
	// body does, and Read does not miss them.
	Memory(parts [][]byte) [][]byte
}
