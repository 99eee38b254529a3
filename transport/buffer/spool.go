package buffer

import (
	"errors"
	"io"
)

// errLonger says that a body did not end where it was to.
var errLonger = errors.New("the body is longer than announced")

// Spool keeps a body: the first bytes in memory, the rest in a file. It only
// grows. Its methods are called by one goroutine at a time; while nothing is
// written, any number of Readers may read. Close must be called.
type Spool struct {
	limits Limits
	memory chain
	disk   disk
	probe  [1]byte
}

// Len returns the bytes that were written.
func (s *Spool) Len() int64 { return s.memory.size + s.disk.end }

// Write appends p. Its error is ErrTooLarge or a *DiskError; the bytes that it
// returns are kept even so.
func (s *Spool) Write(p []byte) (int, error) {
	fits, err := p, error(nil)
	if room := s.limits.Size - s.Len(); s.limits.Size > 0 && int64(len(p)) > room {
		fits, err = p[:room], ErrTooLarge
	}
	n := int(min(int64(len(fits)), s.memoryLeft()))
	s.memory.append(fits[:n])
	if n < len(fits) {
		m, err := s.disk.write(fits[n:], &s.limits)
		if n += m; err != nil {
			return n, err
		}
	}
	return n, err
}

// memoryLeft is 0 once anything is in the file.
func (s *Spool) memoryLeft() int64 {
	if s.disk.end > 0 {
		return 0
	}
	return s.limits.memoryLeft(s.memory.size)
}

// ReadFrom appends all that src has. Its error is src's, ErrTooLarge or a
// *DiskError.
func (s *Spool) ReadFrom(src io.Reader) (int64, error) {
	before := s.Len()
	err := s.fill(src, -1)
	return s.Len() - before, err
}

// fill appends all that src has. Where a length is given it is the Spool's in
// the end, or the error says that it is not.
func (s *Spool) fill(src io.Reader, length int64) error {
	var spill *chunk // on the way to the file
	defer func() {
		if spill != nil {
			spill.free()
		}
	}()
	for idle := 0; idle < 100; idle++ {
		var n int
		var err error
		left, tooMuch := s.left(length)
		memory := s.memoryLeft()
		switch {
		case left == 0:
			if n, err = src.Read(s.probe[:]); n > 0 {
				return tooMuch
			}
		case memory > 0:
			n, err = src.Read(s.memory.room(min(left, memory)))
			s.memory.commit(n)
		default:
			if spill == nil {
				spill = newChunk(largeChunk)
			}
			n, err = src.Read(spill.data[:min(left, largeChunk)])
			if n > 0 {
				if _, err := s.disk.write(spill.data[:n], &s.limits); err != nil {
					return err
				}
			}
		}
		switch {
		case err == io.EOF && s.Len() < length:
			return io.ErrUnexpectedEOF
		case err == io.EOF:
			return nil
		case err != nil:
			return err
		case n > 0:
			idle = 0
		}
	}
	return io.ErrNoProgress
}

// left returns how many bytes may still come, and the error if more do.
func (s *Spool) left(length int64) (int64, error) {
	switch {
	case length >= 0:
		return max(0, length-s.Len()), errLonger
	case s.limits.Size > 0:
		return max(0, s.limits.Size-s.Len()), ErrTooLarge
	default:
		return largeChunk, nil
	}
}

// Reader returns a Reader at the start. It must not be used after Close.
func (s *Spool) Reader() *Reader { return &Reader{spool: s} }

// Close gives the memory back and closes the file. The Spool is empty then.
func (s *Spool) Close() error {
	s.memory.free()
	return s.disk.close()
}
