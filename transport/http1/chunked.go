package http1

import "io"

// chunkState is where in a chunked body the reader is (RFC 9112, section 7.1).
type chunkState int

const (
	chunkStart  chunkState = iota // before a size
	chunkData                     // within data
	chunkEnd                      // after data, before its CR LF
	trailerPart                   // after the last chunk
)

const (
	maxChunkLine  = 4 << 10 // bytes of a size with its extensions
	maxChunkSize  = 15      // digits; more would not fit an int64
	maxExtensions = 16 << 10
)

// readChunked fills p with the data of as many chunks as have come. It waits
// only while it has nothing to return.
func (b *Body) readChunked(p []byte) (n int, err error) {
	for !b.done {
		if b.chunk == chunkData {
			if n == len(p) || n > 0 && b.reader.pos == b.reader.end {
				return n, nil
			}
			m, err := b.take(p[n:])
			n += m
			if b.left == 0 {
				b.chunk = chunkEnd
			} else if err != nil {
				return n, unexpected(err)
			}
			continue
		}
		if n > 0 && !b.stepReady() {
			return n, nil
		}
		if err := b.step(); err != nil {
			return n, err
		}
	}
	return n, io.EOF
}

// stepReady reports whether step can be made without waiting.
func (b *Body) stepReady() bool {
	if b.chunk != trailerPart {
		return b.reader.hasLine()
	}
	have := b.reader.Buffered()
	return len(have) >= 2 && have[0] == '\r' && have[1] == '\n'
}

// step reads what stands between data.
func (b *Body) step() error {
	switch b.chunk {
	case chunkStart:
		return b.readSize()
	case chunkEnd:
		if _, err := b.reader.line(0, errChunkEnd); err != nil {
			return err
		}
		b.chunk = chunkStart
		return nil
	default:
		return b.readTrailer()
	}
}

func (b *Body) readSize() error {
	line, err := b.reader.line(maxChunkLine, errChunkExt)
	if err != nil {
		return err
	}
	size, digits := parseChunkSize(line)
	if digits == 0 || digits > maxChunkSize {
		return b.reader.refuse(errChunkSize)
	}
	if extension := line[digits:]; len(extension) > 0 {
		if extension[0] != ';' {
			return b.reader.refuse(errChunkSize)
		}
		b.extras += int64(len(extension))
		if !isText(stringOf(extension)) || b.extras > maxExtensions+b.size {
			return b.reader.refuse(errChunkExt)
		}
	}
	b.left, b.size, b.chunk = size, b.size+size, chunkData
	if size == 0 {
		b.chunk = trailerPart
	}
	return nil
}

// parseChunkSize returns the number at the start of line, and its digits.
func parseChunkSize(line []byte) (size int64, digits int) {
	for digits < len(line) && digits <= maxChunkSize {
		d := hexDigit(line[digits])
		if d < 0 {
			break
		}
		size = size<<4 | d
		digits++
	}
	return size, digits
}

func hexDigit(c byte) int64 {
	switch {
	case '0' <= c && c <= '9':
		return int64(c - '0')
	case 'a' <= c && c <= 'f':
		return int64(c - 'a' + 10)
	case 'A' <= c && c <= 'F':
		return int64(c - 'A' + 10)
	default:
		return -1
	}
}

func (b *Body) readTrailer() error {
	lines, err := b.reader.section()
	if err != nil {
		return unexpected(err)
	}
	var facts facts // a trailer has no say in the message
	if bad := facts.parse(lines, &b.trailer, b.reader.limits.Fields, false); bad != nil {
		return b.reader.refuse(bad)
	}
	b.done = true
	return nil
}
