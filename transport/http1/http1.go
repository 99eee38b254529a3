// Package http1 is a strict HTTP/1.x codec (RFC 9112) on pooled buffers, for
// both sides of a proxy: a server reads requests and writes responses, a
// client writes requests and reads responses.
//
// What a head may mean in two ways is refused: it is how requests are smuggled
// past a proxy. Content-Length together with Transfer-Encoding, lengths that
// differ, codings but a single chunked, a Transfer-Encoding in HTTP/1.0, bare
// CR or LF, folded lines, blanks before a colon, control characters, odd chunk
// sizes. The characters of a request's target are not judged beyond blanks and
// controls.
//
// # Whose strings they are
//
// The strings of a request, a response and their fields point into the
// Reader's buffer. They hold until the next call of ReadRequest, ReadResponse,
// Release or Reset, and not longer: who keeps one must copy it. Reading the
// body leaves them alone. Trailers hold as long as the head does.
package http1

import (
	"errors"
	"fmt"
)

// Limits bound what a head or a trailer section may take. A zero field means
// its default.
type Limits struct {
	Line   int // bytes of one line; 128 KiB
	Head   int // bytes of all lines together; 128 KiB
	Fields int // header lines; 1,000
}

func (l Limits) orDefault() Limits {
	if l.Line <= 0 {
		l.Line = 128 << 10
	}
	if l.Head <= 0 {
		l.Head = 128 << 10
	}
	if l.Fields <= 0 {
		l.Fields = 1000
	}
	return l
}

// Error says why a request is refused, and with which status. The connection
// cannot be used afterwards: where the next request begins is not known.
type Error struct {
	Status int
	Reason string
}

func (e *Error) Error() string {
	return fmt.Sprintf("the request is refused with %d: %s", e.Status, e.Reason)
}

// ErrMalformedResponse is in every error that says that a response, and not
// the connection, is at fault.
var ErrMalformedResponse = errors.New("the target's response is not valid HTTP/1.1")

// ErrBodyLength is returned by a Writer whose body got more or fewer bytes
// than its head announced.
var ErrBodyLength = errors.New("the body is not as long as its head says")

var (
	errBareNewline = &Error{400, "a line does not end in CR LF"}
	errFold        = &Error{400, "a header line is folded"}
	errBlank       = &Error{400, "a blank stands before the colon of a header field"}
	errName        = &Error{400, "a header field has no valid name"}
	errValue       = &Error{400, "a header field has a control character in its value"}
	errLine        = &Error{431, "a line of the head is too long"}
	errHead        = &Error{431, "the head is too large"}
	errFields      = &Error{431, "the head has too many fields"}

	errStartLine   = &Error{400, "the request line is not METHOD TARGET VERSION"}
	errMethod      = &Error{400, "the method is not a token"}
	errTarget      = &Error{400, "the target is neither a path, an absolute URI nor *"}
	errConnect     = &Error{501, "CONNECT is not supported"}
	errBadVersion  = &Error{400, "the request line does not end in an HTTP version"}
	errVersion     = &Error{505, "this version of HTTP is not supported"}
	errNoHost      = &Error{400, "there is no Host"}
	errTwoHosts    = &Error{400, "there is more than one Host"}
	errHost        = &Error{400, "Host is not a host with an optional port"}
	errStatusLine  = &Error{400, "the status line is not VERSION STATUS REASON"}
	errTwoFramings = &Error{400, "Content-Length and Transfer-Encoding are both given"}
	errLength      = &Error{400, "Content-Length is not a number"}
	errTwoLengths  = &Error{400, "there is more than one Content-Length, and they differ"}
	errOldCoding   = &Error{400, "Transfer-Encoding is not part of HTTP/1.0"}
	errCoding      = &Error{400, "Transfer-Encoding is not valid"}
	errNewCoding   = &Error{501, "the transfer coding is not supported"}

	errChunkSize = &Error{400, "a chunk's size is not a hexadecimal number"}
	errChunkExt  = &Error{400, "chunk extensions are not valid or too long"}
	errChunkEnd  = &Error{400, "a chunk does not end where its size says"}
)
