package buffer

import (
	"io"

	"kamal-proxy/transport/exchange"
	"kamal-proxy/transport/socket"
)

// HoldFor is Hold for a body that goes to a client once. As far as a pipe in the
// kernel has room for it, it is kept there, and not copied, where it is an
// exchange.Source and the client an exchange.Sink.
func HoldFor(client any, body io.Reader, length int64, limits Limits) (*Body, error) {
	source, ok := body.(exchange.Source)
	sink, ok2 := client.(exchange.Sink)
	if !ok || !ok2 || length < exchange.WorthAPipe || length > min(limits.Memory, socket.PipeRoom) || !sink.Drains() {
		return Hold(body, length, limits)
	}
	if limits.Size > 0 && length > limits.Size {
		return nil, ErrTooLarge
	}
	b := newBody(limits)
	b.pipe = socket.NewPipe()
	if err := b.siphon(source, body, length); err != nil {
		b.Close()
		return nil, err
	}
	return b, nil
}

// siphon moves the body into the pipe, but for what came together with its head.
// Where the pipe does not take it, it goes through memory.
func (b *Body) siphon(source exchange.Source, body io.Reader, length int64) error {
	for least := int64(exchange.WorthAPipe); b.pipe != nil && b.Len() < length; least = 1 {
		if source.Fill(b.pipe, least) > 0 {
			continue
		}
		if b.spool.Len() > 0 || b.piped() > 0 {
			return b.spill(body, length)
		}
		n, err := body.Read(b.spool.memory.room(mediumChunk))
		b.spool.memory.commit(n)
		if err != nil {
			return ended(err, b.Len() == length)
		}
	}
	return b.spool.fill(body, length-int64(b.piped())) // there is no more, or too much
}

// ended is the outcome of a body whose reading ended with err.
func ended(err error, whole bool) error {
	switch {
	case err != io.EOF:
		return err
	case !whole:
		return io.ErrUnexpectedEOF
	}
	return nil
}

// spill goes on without the pipe.
func (b *Body) spill(body io.Reader, length int64) error {
	if _, err := b.spool.ReadFrom(b.pipe); err != nil {
		return err
	}
	return b.spool.fill(body, length)
}

func (b *Body) piped() int {
	if b.pipe == nil {
		return 0
	}
	return b.pipe.Held()
}

// WriteTo writes the rest to w, see Reader.WriteTo.
func (b *Body) WriteTo(w io.Writer) (int64, error) {
	n, err := b.Reader.WriteTo(w)
	if err != nil || b.piped() == 0 {
		return n, err
	}
	if sink, ok := w.(exchange.Sink); ok && sink.Drains() {
		m, err := sink.Drain(b.pipe)
		return n + int64(m), err
	}
	part := newChunk(largeChunk)
	defer part.free()
	for {
		m, err := b.pipe.Read(part.data)
		if err == io.EOF {
			return n, nil
		}
		if err == nil {
			m, err = write(w, part.data[:m])
			n += int64(m)
		}
		if err != nil {
			return n, err
		}
	}
}
