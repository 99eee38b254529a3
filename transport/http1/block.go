package http1

import "sync"

// A block is a pooled buffer. Sizes are powers of two from blockSize up.
type block struct {
	data []byte
	pool *sync.Pool
}

const (
	blockSize  = 8 << 10
	blockSizes = 6 // up to 256 KiB; what is larger is not pooled
)

var blocks [blockSizes]sync.Pool

// newBlock returns a block of at least size bytes, with anything in it.
func newBlock(size int) *block {
	class, have := 0, blockSize
	for have < size {
		class, have = class+1, have*2
	}
	if class >= blockSizes {
		return &block{data: make([]byte, have)}
	}
	if b, ok := blocks[class].Get().(*block); ok {
		return b
	}
	return &block{data: make([]byte, have), pool: &blocks[class]}
}

// free gives the block back; nothing may point into it any more.
func (b *block) free() {
	if b.pool != nil {
		b.pool.Put(b)
	}
}
