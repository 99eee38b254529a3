package http2

import "encoding/binary"

// frameType is a frame's type (RFC 9113, section 6).
type frameType byte

const (
	frameData frameType = iota
	frameHeaders
	framePriority
	frameReset
	frameSettings
	framePushPromise
	framePing
	frameGoAway
	frameWindowUpdate
	frameContinuation
)

const (
	flagAck        = 0x1
	flagEndStream  = 0x1
	flagEndHeaders = 0x4
	flagPadded     = 0x8
	flagPriority   = 0x20
)

const (
	frameHead  = 9       // bytes before a payload
	frameMost  = 1 << 14 // bytes of a payload: what every peer takes, and all that we take
	maxID      = 1<<31 - 1
	maxWindow  = 1<<31 - 1
	baseWindow = 1<<16 - 1 // before any SETTINGS

	preface = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
)

// frame is one frame that came. Its payload holds until the next is read.
type frame struct {
	kind    frameType
	flags   byte
	stream  uint32
	payload []byte
}

func (f *frame) has(flag byte) bool { return f.flags&flag != 0 }

// unpad takes padding off the payload of DATA or HEADERS.
func (f *frame) unpad() error {
	if !f.has(flagPadded) {
		return nil
	}
	if len(f.payload) == 0 {
		return &connError{frameSizeError, "a padded frame without a length of padding"}
	}
	padding := int(f.payload[0])
	f.payload = f.payload[1:]
	if padding > len(f.payload) {
		return &connError{protocolError, "more padding than payload"}
	}
	f.payload = f.payload[:len(f.payload)-padding]
	return nil
}

// word is a number of 31 bits: the highest one is reserved.
func word(p []byte) uint32 { return binary.BigEndian.Uint32(p) & maxID }

func appendFrame(dst []byte, length int, kind frameType, flags byte, stream uint32) []byte {
	dst = append(dst, byte(length>>16), byte(length>>8), byte(length), byte(kind), flags)
	return binary.BigEndian.AppendUint32(dst, stream)
}

func appendWord(dst []byte, kind frameType, stream, value uint32) []byte {
	dst = appendFrame(dst, 4, kind, 0, stream)
	return binary.BigEndian.AppendUint32(dst, value)
}

func appendReset(dst []byte, stream uint32, c code) []byte {
	return appendWord(dst, frameReset, stream, uint32(c))
}

func appendWindowUpdate(dst []byte, stream uint32, more int) []byte {
	return appendWord(dst, frameWindowUpdate, stream, uint32(more))
}

func appendPing(dst []byte, flags byte, data []byte) []byte {
	return append(appendFrame(dst, len(data), framePing, flags, 0), data...)
}

func appendGoAway(dst []byte, last uint32, c code, reason string) []byte {
	dst = appendFrame(dst, 8+len(reason), frameGoAway, 0, 0)
	dst = binary.BigEndian.AppendUint32(dst, last)
	dst = binary.BigEndian.AppendUint32(dst, uint32(c))
	return append(dst, reason...)
}
