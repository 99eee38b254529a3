package buffer

import (
	"io"
	"sync"

	"kamal-proxy/transport/exchange"
	"kamal-proxy/transport/socket"
)

// Body is a body that is kept whole. It is read from its start, and again after
// Rewind. It is used by one goroutine at a time; Close must be called once
// nobody reads it any more. A nil *Body may be closed, too.
type Body struct {
	spool Spool
	Reader
	pipe *socket.Pipe // behind what is in the spool; nil: nothing is
}

var bodies = sync.Pool{New: func() any { return new(Body) }}

// Hold reads a body to its end. length is what was announced, -1 if nothing
// was. Its error is what the body's reading failed with (io.ErrUnexpectedEOF for
// a body that is too short), a *DiskError, or ErrTooLarge as soon as that is
// known: by the length, before anything is read.
func Hold(body io.Reader, length int64, limits Limits) (*Body, error) {
	if limits.Size > 0 && length > limits.Size {
		return nil, ErrTooLarge
	}
	b := newBody(limits)
	if err := b.spool.fill(body, length); err != nil {
		b.Close()
		return nil, err
	}
	return b, nil
}

func newBody(limits Limits) *Body {
	b := bodies.Get().(*Body)
	b.spool.limits = limits
	b.Reader.spool = &b.spool
	return b
}

// Request reads the body of a request whole, and puts what it has read in the
// body's place, with its length; the length stays open if there are trailers,
// since only a chunked body has them. It returns nil if there is no body. Errors
// are those of Hold, and leave the request as it was, but for the bytes read.
// The request's Body has a method Rewind, for sending it again. Close the *Body
// after the response: until then a target may still be sent it.
func Request(r *exchange.Request, limits Limits) (*Body, error) {
	if r.ContentLength == 0 {
		return nil, nil
	}
	b, err := Hold(r.Body, r.ContentLength, limits)
	if err != nil {
		return nil, err
	}
	r.Body = &b.Reader // which nobody can close who only sends it
	if r.ContentLength < 0 && (r.Trailer == nil || len(r.Trailer()) == 0) {
		r.ContentLength = b.Len()
		r.Header.Del("Trailer")
	}
	return b, nil
}

// Len returns the body's length in bytes.
func (b *Body) Len() int64 { return b.spool.Len() + int64(b.piped()) }

// Close gives back what the body is kept in.
func (b *Body) Close() error {
	if b == nil || b.Reader.spool == nil {
		return nil
	}
	err := b.spool.Close()
	b.pipe.Close()
	b.Reader, b.pipe = Reader{}, nil
	bodies.Put(b)
	return err
}
