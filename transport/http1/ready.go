package http1

import "bytes"

// Ready reports whether a Read would return something, data or an end, without
// waiting for the connection. What only the connection could tell is false.
func (b *Body) Ready() bool {
	switch {
	case b.done, b.bad != nil, b.reader.err != nil:
		return true
	case b.kind == chunkedBody:
		return b.chunkHere(b.reader.Buffered())
	}
	return b.reader.pos < b.reader.end
}

// chunkHere looks for the next data, or the end, in what was received: behind
// the lines that Read would have to read first.
func (b *Body) chunkHere(rest []byte) bool {
	for at := b.chunk; ; {
		switch at {
		case chunkData:
			return len(rest) > 0
		case trailerPart:
			return bytes.HasPrefix(rest, crlf) || bytes.Contains(rest, emptyLine)
		}
		end := bytes.IndexByte(rest, '\n')
		if end < 0 {
			return false
		}
		if at == chunkEnd {
			at = chunkStart
		} else if at = chunkData; lastChunk(rest[:end]) {
			at = trailerPart
		}
		rest = rest[end+1:]
	}
}

var crlf, emptyLine = []byte("\r\n"), []byte("\r\n\r\n")

func lastChunk(line []byte) bool {
	size, _ := parseChunkSize(line)
	return size == 0
}
