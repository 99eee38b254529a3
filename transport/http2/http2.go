// Package http2 serves HTTP/2 (RFC 9113) on connections that have been opened
// for it: each stream is an exchange.
//
// One goroutine reads a connection's frames and never waits for the client to
// take any. Each request has one for its Handler; they are used again. What goes
// out is gathered in a buffer of the connection: the responses that end at about
// the same time leave in one write, by the goroutine of the first of them.
// Nobody else waits in a write, so that an Abort, or the client's reset, ends
// each wait of a stream.
//
//	frames -> conn.receive -> head, upload        (the reader)
//	Handler -> stream -> outgoing -> conn.drain   (the streams)
//
// A connection's lock guards all that its goroutines share. Responses are
// compressed with a table of our own (encoder), requests by x/net's hpack.
//
// What is malformed (sections 8.1.1, 8.2 and 8.3) resets its stream. What HTTP/2
// could carry, but no HTTP/1.1 target could be asked, is answered with 400 or 501.
// There is no push, no upgrade, and priorities are not looked at.
package http2

import (
	"errors"
	"fmt"
)

// code is an error code (RFC 9113, section 7).
type code uint32

const (
	noError code = iota
	protocolError
	internalError
	flowControlError
	settingsTimeout
	streamClosed
	frameSizeError
	refusedStream
	cancelled
	compressionError
	connectError
	enhanceYourCalm
)

// connError ends a connection.
type connError struct {
	code   code
	reason string
}

func (e *connError) Error() string {
	return fmt.Sprintf("the connection is ended with code %d: %s", e.code, e.reason)
}

// streamError ends one stream.
type streamError struct {
	stream uint32
	code   code
	reason string
}

func (e *streamError) Error() string {
	return fmt.Sprintf("stream %d is reset with code %d: %s", e.stream, e.code, e.reason)
}

// ErrBodyLength is returned by Write for more than Respond announced.
var ErrBodyLength = errors.New("the body is not as long as its head says")

var (
	errGone         = errors.New("the client has gone, or the response was broken off")
	errNoHead       = errors.New("the response has no head yet")
	errHeadSent     = errors.New("the response has a head already")
	errEnded        = errors.New("the response has ended")
	errUploadClosed = errors.New("the request's body was closed")
)
