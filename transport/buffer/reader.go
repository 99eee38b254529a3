package buffer

import "io"

// Reader reads a Spool from its start.
type Reader struct {
	spool *Spool
	chunk *chunk // nil: at the start
	at    int    // in the chunk
	disk  int64  // bytes read of the file
}

// Rewind goes back to the start.
func (r *Reader) Rewind() { *r = Reader{spool: r.spool} }

// Read implements io.Reader. An error other than io.EOF is a *DiskError.
func (r *Reader) Read(p []byte) (int, error) {
	n := 0
	for n < len(p) {
		part := r.inMemory()
		if len(part) == 0 {
			break
		}
		m := copy(p[n:], part)
		r.at += m
		n += m
	}
	m, err := r.fromDisk(p[n:])
	n += m
	if n == 0 && err == nil && len(p) > 0 {
		err = io.EOF
	}
	return n, err
}

// WriteTo writes the rest to w, without copying what is in memory. Its error is
// w's or a *DiskError.
func (r *Reader) WriteTo(w io.Writer) (int64, error) {
	written := int64(0)
	for {
		part := r.inMemory()
		if len(part) == 0 {
			break
		}
		n, err := write(w, part)
		r.at += n
		written += int64(n)
		if err != nil {
			return written, err
		}
	}
	if r.disk == r.spool.disk.end {
		return written, nil
	}
	n, err := r.writeDisk(w)
	return written + n, err
}

// Memory implements exchange.Kept.
func (r *Reader) Memory(parts [][]byte) [][]byte {
	if r.chunk != nil || r.spool.disk.end > 0 {
		return nil
	}
	for c := r.spool.memory.first; c != nil; c = c.next {
		parts = append(parts, c.data[:c.end])
	}
	return parts
}

func (r *Reader) writeDisk(w io.Writer) (int64, error) {
	part := newChunk(largeChunk)
	defer part.free()
	written := int64(0)
	for {
		n, err := r.fromDisk(part.data)
		if n == 0 || err != nil {
			return written, err
		}
		m, err := write(w, part.data[:n])
		r.disk -= int64(n - m)
		written += int64(m)
		if err != nil {
			return written, err
		}
	}
}

// inMemory returns unread bytes that are in memory, if there are any.
func (r *Reader) inMemory() []byte {
	if r.chunk == nil {
		r.chunk = r.spool.memory.first
	}
	if r.chunk == nil {
		return nil
	}
	if r.at == r.chunk.end && r.chunk.next != nil {
		r.chunk, r.at = r.chunk.next, 0
	}
	return r.chunk.data[r.at:r.chunk.end]
}

func (r *Reader) fromDisk(p []byte) (int, error) {
	n, err := r.spool.disk.readAt(p, r.disk, &r.spool.limits)
	r.disk += int64(n)
	return n, err
}

func write(w io.Writer, p []byte) (int, error) {
	n, err := w.Write(p)
	if n < len(p) && err == nil {
		err = io.ErrShortWrite
	}
	return n, err
}
