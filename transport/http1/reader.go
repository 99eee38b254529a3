package http1

import (
	"bytes"
	"fmt"
	"io"

	"kamal-proxy/transport/exchange"
)

// Reader reads the messages that come in on one connection, one after the
// other. It holds a buffer only from the first byte of a message to Release.
type Reader struct {
	src    io.Reader
	limits Limits
	block  *block
	buf    []byte // the block's
	pinned int    // bytes of buf that strings of the current head point into
	pos    int    // where unread bytes begin
	end    int    // and end
	err    error  // came together with bytes; told when these are read

	response bool // the last head read was one
	facts    facts
	body     Body
	trailer  func() exchange.Header
}

// The least room for body bytes behind a head that is kept in the buffer.
const minRoom = 1 << 10

// NewReader returns a Reader of src's messages.
func NewReader(src io.Reader, limits Limits) *Reader {
	r := &Reader{limits: limits.orDefault()}
	r.body.reader = r
	r.trailer = r.body.Trailer
	r.Reset(src)
	return r
}

// Reset lets go of everything and begins anew with src.
func (r *Reader) Reset(src io.Reader) {
	r.pos, r.end = 0, 0
	r.Release()
	r.src, r.err = src, nil
	r.facts = facts{}
	r.body.begin(noBody, 0)
}

// Limit changes what the heads from here on may take.
func (r *Reader) Limit(limits Limits) { r.limits = limits.orDefault() }

// Release gives the buffer back if no unread byte is in it. Strings of the
// last message must not be used any more.
func (r *Reader) Release() {
	r.pinned = 0
	if r.block == nil || r.pos < r.end {
		return
	}
	r.block.free()
	r.block, r.buf, r.pos, r.end = nil, nil, 0, 0
}

// Buffered returns the bytes that were received and not read yet. They hold
// until the next call of a method.
func (r *Reader) Buffered() []byte { return r.buf[r.pos:r.end] }

// Discard skips n of the buffered bytes.
func (r *Reader) Discard(n int) { r.pos = min(r.pos+n, r.end) }

// KeepAlive reports whether the message last read lets the connection be used
// for another one, once its body has been read (RFC 9112, section 9.3).
func (r *Reader) KeepAlive() bool { return r.facts.keepAlive }

// ExpectsContinue reports whether the request last read wants 100 Continue
// before it sends its body (RFC 9110, section 10.1.1).
func (r *Reader) ExpectsContinue() bool { return r.facts.expectsContinue }

// Body returns the body of the message last read.
func (r *Reader) Body() *Body { return &r.body }

// begin drops the message before and moves what is unread to the front, so
// that it does not move while the next head is looked for.
func (r *Reader) begin(response bool) {
	r.response, r.pinned = response, 0
	r.facts = facts{}
	r.body.begin(noBody, 0)
	r.end = copy(r.buf, r.buf[r.pos:r.end])
	r.pos = 0
}

// section takes the lines up to and with the next empty one from the input
// and pins them.
func (r *Reader) section() ([]byte, error) {
	line, scanned := 0, 0 // from pos
	for {
		i := bytes.IndexByte(r.buf[r.pos+scanned:r.end], '\n')
		if i < 0 {
			scanned = r.end - r.pos
			if err := r.room(line, scanned); err != nil {
				return nil, err
			}
			if err := r.fill(); err != nil {
				return nil, err
			}
			continue
		}
		end := scanned + i
		if err := r.room(line, end); err != nil {
			return nil, err
		}
		if end == line || r.buf[r.pos+end-1] != '\r' {
			return nil, r.refuse(errBareNewline)
		}
		scanned = end + 1
		if end == line+1 {
			break
		}
		line = scanned
	}
	lines := r.buf[r.pos : r.pos+scanned]
	r.pos += scanned
	r.pinned = r.pos
	return lines, nil
}

// room checks the limits for a line from the given offset to end, where its last
// byte is or will come.
func (r *Reader) room(line, end int) error {
	switch {
	case end-line >= r.limits.Line:
		return r.refuse(errLine)
	case end >= r.limits.Head:
		return r.refuse(errHead)
	}
	return nil
}

// hasLine reports whether a line can be read without waiting.
func (r *Reader) hasLine() bool {
	return bytes.IndexByte(r.buf[r.pos:r.end], '\n') >= 0
}

// line takes one line of at most limit bytes, without its end.
func (r *Reader) line(limit int, tooLong *Error) ([]byte, error) {
	for {
		have := r.buf[r.pos:r.end]
		i := bytes.IndexByte(have, '\n')
		switch {
		case i > limit+1 || i < 0 && len(have) > limit+1:
			return nil, r.refuse(tooLong)
		case i == 0 || i > 0 && have[i-1] != '\r':
			return nil, r.refuse(errBareNewline)
		case i > 0:
			r.pos += i + 1
			return have[:i-1], nil
		}
		if err := r.fill(); err != nil {
			return nil, unexpected(err)
		}
	}
}

// fill reads more into the buffer, at least one byte.
func (r *Reader) fill() error {
	if r.err != nil {
		return r.err
	}
	r.makeRoom()
	for range 100 {
		n, err := r.src.Read(r.buf[r.end:])
		r.end += n
		if n > 0 {
			r.err = err
			return nil
		}
		if err != nil {
			return err
		}
	}
	return io.ErrNoProgress
}

func (r *Reader) makeRoom() {
	if r.pos == r.end {
		r.pos, r.end = r.pinned, r.pinned
	}
	switch {
	case r.block == nil:
		r.block = newBlock(blockSize)
		r.buf = r.block.data
	case r.end < len(r.buf) && len(r.buf)-r.pinned >= minRoom:
	case r.pos > r.pinned:
		r.end = r.pinned + copy(r.buf[r.pinned:], r.buf[r.pos:r.end])
		r.pos = r.pinned
	default:
		r.grow()
	}
}

// grow moves what is unread to a block twice as large. A block that strings
// still point into is left to the collector.
func (r *Reader) grow() {
	next := newBlock(2 * len(r.buf))
	n := copy(next.data, r.buf[r.pos:r.end])
	if r.pinned == 0 {
		r.block.free()
	}
	r.block, r.buf = next, next.data
	r.pinned, r.pos, r.end = 0, 0, n
}

// read fills p past the buffer, which is empty.
func (r *Reader) read(p []byte) (int, error) {
	if r.err != nil {
		return 0, r.err
	}
	return r.src.Read(p)
}

// refuse makes an error of what is wrong with the current message.
func (r *Reader) refuse(e *Error) error {
	if r.response {
		return fmt.Errorf("%w: %s", ErrMalformedResponse, e.Reason)
	}
	return e
}

// unexpected is err where the input must not end.
func unexpected(err error) error {
	if err == io.EOF {
		return io.ErrUnexpectedEOF
	}
	return err
}
