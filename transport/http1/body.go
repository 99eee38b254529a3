package http1

import (
	"errors"
	"io"
	"net"

	"kamal-proxy/transport/exchange"
	"kamal-proxy/transport/socket"
)

type bodyKind int

const (
	noBody      bodyKind = iota
	lengthBody           // Content-Length
	chunkedBody          // Transfer-Encoding: chunked
	closeBody            // until the connection ends
)

// Body reads the body of its Reader's current message. It is valid until the
// next head is read.
type Body struct {
	reader  *Reader
	kind    bodyKind
	left    int64 // bytes of the body, or of the chunk
	done    bool  // it was read to its end
	bad     error // it is broken for good
	chunk   chunkState
	size    int64 // bytes of data in the chunks so far
	extras  int64 // bytes of chunk extensions so far
	trailer exchange.Header
}

func (b *Body) begin(kind bodyKind, length int64) {
	b.kind, b.left, b.bad = kind, length, nil
	b.done = kind == noBody || kind == lengthBody && length == 0
	b.chunk, b.size, b.extras = chunkStart, 0, 0
	b.trailer = b.trailer[:0]
}

// Done reports whether the body was read to its end.
func (b *Body) Done() bool { return b.done }

// Here reports whether the rest of the body can be read without waiting. It
// may be false although it could, where only reading would tell.
func (b *Body) Here() bool {
	return b.done || b.kind == lengthBody && b.left <= int64(b.reader.end-b.reader.pos)
}

// Fills reports whether Fill would move something.
func (b *Body) Fills(least int64) bool {
	return b.kind == lengthBody && !b.done && b.bad == nil && b.left >= least && b.reader.pos == b.reader.end && b.reader.err == nil
}

// Fill moves bytes of the body, which must have a Content-Length, from the
// connection into a pipe, if at least least of them come next there, with
// nothing else before them. It waits until that is at least one, and returns how
// many it did. After an error, Read goes on where it ended.
func (b *Body) Fill(pipe *socket.Pipe, conn net.Conn, least int64) (int, error) {
	if !b.Fills(least) {
		return 0, nil
	}
	n, err := pipe.Fill(conn, b.left)
	b.left -= int64(n)
	b.done = b.left == 0
	return n, err
}

// Trailer returns the trailer fields of a chunked body that is done. They may
// have any name: a Writer drops those that must not be trailers.
func (b *Body) Trailer() exchange.Header {
	if !b.done {
		return nil
	}
	return b.trailer
}

// Read implements io.Reader. The last bytes may come together with io.EOF. A
// body that ends before it should is io.ErrUnexpectedEOF; one whose chunks are
// not valid is an *Error (of a request) or ErrMalformedResponse. After a
// time-out it may be called again.
func (b *Body) Read(p []byte) (int, error) {
	switch {
	case b.done:
		return 0, io.EOF
	case b.bad != nil:
		return 0, b.bad
	case len(p) == 0:
		return 0, nil
	}
	n, err := b.readKind(p)
	if err != nil && err != io.EOF && !temporary(err) {
		b.bad = err
	}
	return n, err
}

func (b *Body) readKind(p []byte) (int, error) {
	switch b.kind {
	case lengthBody:
		return b.readLength(p)
	case chunkedBody:
		return b.readChunked(p)
	default:
		return b.readToClose(p)
	}
}

func (b *Body) readLength(p []byte) (int, error) {
	n, err := b.take(p)
	if b.left == 0 {
		b.done = true
		return n, io.EOF
	}
	return n, unexpected(err)
}

func (b *Body) readToClose(p []byte) (int, error) {
	b.left = int64(len(p))
	n, err := b.take(p)
	b.done = err == io.EOF
	return n, err
}

// Reads into less than this go through the buffer.
const directSize = 512

// take reads up to left bytes: what is buffered, else past the buffer. Only
// the second may wait.
func (b *Body) take(p []byte) (n int, err error) {
	r := b.reader
	p = p[:min(int64(len(p)), b.left)]
	if r.pos == r.end && len(p) < directSize {
		if err := r.fill(); err != nil {
			return 0, err
		}
	}
	if r.pos < r.end {
		n = copy(p, r.buf[r.pos:r.end])
		r.pos += n
	} else {
		n, err = r.read(p)
	}
	b.left -= int64(n)
	return n, err
}

func temporary(err error) bool {
	var t interface{ Timeout() bool }
	return errors.As(err, &t) && t.Timeout()
}
