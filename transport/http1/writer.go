package http1

import (
	"io"
	"net"

	"kamal-proxy/transport/exchange"
	"kamal-proxy/transport/socket"
)

// Writer writes the messages that go out on one connection. Heads and small
// parts of bodies are held back and go out together: by Flush, by End, or when
// the buffer is full. It holds a buffer only while something is held back or a
// message is under way.
type Writer struct {
	dst   io.Writer
	block *block
	buf   []byte // what is held back, in the block or grown beyond it
	kind  bodyKind
	left  int64 // of a lengthBody
	err   error // of dst; nothing goes out after it

	parts   [3][]byte
	vectors net.Buffers
}

// NewWriter returns a Writer to dst.
func NewWriter(dst io.Writer) *Writer { return &Writer{dst: dst} }

// Reset drops what is held back and begins anew with dst.
func (w *Writer) Reset(dst io.Writer) {
	w.buf = w.buf[:0]
	w.Release()
	w.dst, w.kind, w.left, w.err = dst, noBody, 0, nil
}

// Release gives the buffer back if nothing is held back.
func (w *Writer) Release() {
	if w.block != nil && len(w.buf) == 0 {
		w.block.free()
		w.block, w.buf = nil, nil
	}
}

// Buffered returns how many bytes are held back.
func (w *Writer) Buffered() int { return len(w.buf) }

// WriteRequest begins a request. See AppendRequest.
func (w *Writer) WriteRequest(r *exchange.Request) error {
	kind := lengthBody
	if r.ContentLength < 0 {
		kind = chunkedBody
	}
	w.acquire()
	buf, err := AppendRequest(w.buf, r)
	return w.begin(buf, err, kind, r.ContentLength)
}

// WriteResponse begins a response. An interim one has no body and is to be
// flushed. See AppendResponse.
func (w *Writer) WriteResponse(h *ResponseHead) error {
	w.acquire()
	buf, err := AppendResponse(w.buf, h)
	return w.begin(buf, err, h.bodyKind(), h.Length)
}

// begin takes a new head, or leaves things as they were if there is none.
func (w *Writer) begin(buf []byte, err error, kind bodyKind, length int64) error {
	if w.err != nil {
		return w.err
	}
	if err != nil {
		return err
	}
	w.buf, w.kind, w.left = buf, kind, length
	return nil
}

// Write sends a part of the body. Where there must not be one (HEAD, 204,
// 304) it is dropped. More than the head announced is ErrBodyLength.
func (w *Writer) Write(p []byte) (int, error) {
	if w.err != nil || len(p) == 0 {
		return 0, w.err
	}
	if w.kind == noBody {
		return len(p), nil
	}
	w.acquire()
	switch w.kind {
	case chunkedBody:
		w.buf = AppendChunkSize(w.buf, len(p))
		return w.put(p, "\r\n")
	case lengthBody:
		if int64(len(p)) > w.left {
			return 0, ErrBodyLength
		}
		w.left -= int64(len(p))
	}
	return w.put(p, "")
}

// Drains reports whether what is under way is a body with a Content-Length, so
// that Drain can send it over a plain connection.
func (w *Writer) Drains() bool { return w.kind == lengthBody }

// Drain sends what a pipe holds as a part of a body that Drains, and returns
// how much it did.
func (w *Writer) Drain(pipe *socket.Pipe) (n int, err error) {
	switch {
	case int64(pipe.Held()) > w.left:
		return 0, ErrBodyLength
	case w.Flush() != nil:
		return 0, w.err
	}
	n, w.err = pipe.Drain(w.dst.(net.Conn))
	w.left -= int64(n)
	return n, w.err
}

// End ends the body and sends what is held back. Trailers go out only with a
// chunked body.
func (w *Writer) End(trailer exchange.Header) error {
	if w.err != nil {
		return w.err
	}
	switch {
	case w.kind == lengthBody && w.left > 0:
		return ErrBodyLength
	case w.kind == chunkedBody:
		w.acquire()
		buf, err := AppendLastChunk(w.buf, trailer)
		if err != nil {
			return err
		}
		w.buf = buf
	}
	w.kind = noBody
	return w.Flush()
}

// Flush sends what is held back.
func (w *Writer) Flush() error {
	if w.err == nil && len(w.buf) > 0 {
		_, w.err = w.dst.Write(w.buf)
		w.buf = w.buf[:0]
	}
	return w.err
}

func (w *Writer) acquire() {
	if w.block == nil {
		w.block = newBlock(blockSize)
		w.buf = w.block.data[:0]
	}
}

// put holds p and its tail back if there is room; else all goes out: in one
// call where the connection can, and without a copy of p.
func (w *Writer) put(p []byte, tail string) (int, error) {
	if len(w.buf)+len(p)+len(tail) <= cap(w.buf) {
		w.buf = append(append(w.buf, p...), tail...)
		return len(p), nil
	}
	if conn := socket.TCP(w.dst); conn != nil {
		return w.putVectors(conn, p, tail)
	}
	n := min(len(p), max(0, cap(w.buf)-len(w.buf)))
	w.buf = append(w.buf, p[:n]...)
	if w.Flush() == nil && n < len(p) {
		_, w.err = w.dst.Write(p[n:])
	}
	w.buf = append(w.buf, tail...)
	if w.err != nil {
		return 0, w.err
	}
	return len(p), nil
}

func (w *Writer) putVectors(conn *net.TCPConn, p []byte, tail string) (int, error) {
	w.parts = [3][]byte{w.buf, p, bytesOf(tail)}
	w.vectors = w.parts[:]
	_, w.err = w.vectors.WriteTo(conn)
	w.buf, w.parts = w.buf[:0], [3][]byte{}
	if w.err != nil {
		return 0, w.err
	}
	return len(p), nil
}
