package proxy

import (
	"crypto/rand"
	"encoding/binary"
)

// frames follows the frames of a WebSocket (RFC 6455, section 5.2) through a
// stream of bytes, to know where one ends. It keeps no more of them than the
// head of the one under way. What is no WebSocket leads it astray, but never
// beyond what it is given.
type frames struct {
	head    [14]byte // as far as it has come
	have    int
	payload uint64 // bytes of it that are still to come
	closing bool   // a Close frame has begun
}

const (
	opcodeClose = 0x8
	maskBit     = 0x80
)

// next takes in bytes up to the end of the frame under way, or all of them, and
// returns how many those were: at least one, if there is one.
func (f *frames) next(p []byte) int {
	n := 0
	for f.have < f.headLength() {
		if n == len(p) {
			return n
		}
		f.head[f.have] = p[n]
		f.have++
		n++
		if f.have == f.headLength() {
			f.begin()
		}
	}
	part := min(uint64(len(p)-n), f.payload)
	f.payload -= part
	if f.payload == 0 {
		f.have = 0
	}
	return n + int(part)
}

// follow takes in all of p.
func (f *frames) follow(p []byte) {
	for len(p) > 0 {
		p = p[f.next(p):]
	}
}

// between reports whether the stream is at the end of a frame.
func (f *frames) between() bool { return f.have == 0 }

// headLength is that of the frame's head, as far as can be told.
func (f *frames) headLength() int {
	if f.have < 2 {
		return 2
	}
	length := 2
	switch f.head[1] &^ maskBit {
	case 126:
		length += 2
	case 127:
		length += 8
	}
	if f.head[1]&maskBit != 0 {
		length += 4
	}
	return length
}

// begin reads the head, which is complete.
func (f *frames) begin() {
	switch short := f.head[1] &^ maskBit; short {
	case 126:
		f.payload = uint64(binary.BigEndian.Uint16(f.head[2:]))
	case 127:
		f.payload = binary.BigEndian.Uint64(f.head[2:])
	default:
		f.payload = uint64(short)
	}
	f.closing = f.closing || f.head[0]&0x0f == opcodeClose
}

// Close frames with status 1001: an endpoint is going away (RFC 6455, section
// 7.4.1). A server's are plain, a client's masked with a key of their own.
func serverGoingAway() []byte { return []byte{0x80 | opcodeClose, 2, 0x03, 0xe9} }

func clientGoingAway() []byte {
	frame := []byte{0x80 | opcodeClose, maskBit | 2, 0, 0, 0, 0, 0x03, 0xe9}
	key := frame[2:6]
	rand.Read(key) // never fails
	frame[6] ^= key[0]
	frame[7] ^= key[1]
	return frame
}
