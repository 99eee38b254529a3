package http2

import (
	"io"
	"sync"
)

// inletSize is room for the largest frame, and for what has come behind it.
const inletSize = 32 << 10

var inletBlocks = sync.Pool{New: func() any { return new([inletSize]byte) }}

// inlet reads frames in place. It needs no buffer while it waits for the first
// byte of one after a rest.
type inlet struct {
	src   io.Reader
	block *[inletSize]byte // nil: none is needed
	one   [1]byte          // what is read into without a block
	r, w  int              // what was not taken yet
}

// frame takes the next frame, if all of it has come.
func (in *inlet) frame(f *frame) (ok bool, err error) {
	if in.w-in.r < frameHead {
		return false, nil
	}
	head := in.block[in.r:in.w]
	length := int(head[0])<<16 | int(head[1])<<8 | int(head[2])
	if length > frameMost {
		return false, &connError{frameSizeError, "a frame is larger than SETTINGS_MAX_FRAME_SIZE"}
	}
	if len(head) < frameHead+length {
		return false, nil
	}
	f.kind, f.flags, f.stream = frameType(head[3]), head[4], word(head[5:])
	f.payload = head[frameHead : frameHead+length]
	in.r += frameHead + length
	return true, nil
}

// take takes n bytes, if they have come.
func (in *inlet) take(n int) ([]byte, bool) {
	if in.w-in.r < n {
		return nil, false
	}
	p := in.block[in.r : in.r+n]
	in.r += n
	return p, true
}

// fill reads more. What a read that failed with a time-out has brought is kept.
func (in *inlet) fill() error {
	if in.block == nil {
		n, err := in.src.Read(in.one[:])
		if n > 0 {
			in.open()
			in.block[0] = in.one[0]
			in.r, in.w = 0, 1
		}
		return err
	}
	in.compact()
	n, err := in.src.Read(in.block[in.w:])
	in.w += n
	return err
}

func (in *inlet) compact() {
	switch {
	case in.r == in.w:
		in.r, in.w = 0, 0
	case in.w == inletSize || in.r > inletSize-frameHead-frameMost:
		in.w = copy(in.block[:], in.block[in.r:in.w])
		in.r = 0
	}
}

// part is a frame that has come in part; its type is known or frameSettings.
func (in *inlet) part() (kind frameType, any bool) {
	if in.r == in.w {
		return 0, false
	}
	if in.w-in.r < 4 {
		return frameSettings, true
	}
	return frameType(in.block[in.r+3]), true
}

func (in *inlet) open() {
	if in.block == nil {
		in.block = inletBlocks.Get().(*[inletSize]byte)
		in.r, in.w = 0, 0
	}
}

// rest gives the buffer back, if there is nothing in it.
func (in *inlet) rest() {
	if in.block != nil && in.r == in.w {
		in.close()
	}
}

func (in *inlet) close() {
	if in.block != nil {
		inletBlocks.Put(in.block)
		in.block, in.r, in.w = nil, 0, 0
	}
}
