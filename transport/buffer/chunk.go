package buffer

import "sync"

const (
	smallChunk  = 4 << 10
	mediumChunk = 16 << 10
	largeChunk  = 64 << 10
)

// chunk is a piece of pooled memory.
type chunk struct {
	data []byte
	end  int // bytes that are in use
	next *chunk
}

var smallChunks, mediumChunks, largeChunks sync.Pool

// newChunk returns an empty chunk with room for want bytes, or the largest.
func newChunk(want int64) *chunk {
	size := largeChunk
	switch {
	case want <= smallChunk:
		size = smallChunk
	case want <= mediumChunk:
		size = mediumChunk
	}
	if c, ok := chunkPool(size).Get().(*chunk); ok {
		return c
	}
	return &chunk{data: make([]byte, size)}
}

func (c *chunk) free() {
	c.end, c.next = 0, nil
	chunkPool(len(c.data)).Put(c)
}

func chunkPool(size int) *sync.Pool {
	switch size {
	case smallChunk:
		return &smallChunks
	case mediumChunk:
		return &mediumChunks
	default:
		return &largeChunks
	}
}

// chain is a list of chunks, written at its end.
type chain struct {
	first, last *chunk
	size        int64 // bytes in it, those that were taken off not counted
}

// room returns where the next bytes go: at least one, and want of them at most.
// Chunks get larger as the chain grows, so that nobody gets much memory by
// announcing much.
func (c *chain) room(want int64) []byte {
	if c.last == nil || c.last.end == len(c.last.data) {
		c.grow(newChunk(min(want, max(mediumChunk, 4*c.size))))
	}
	free := c.last.data[c.last.end:]
	return free[:min(int64(len(free)), want)]
}

// commit says that n bytes were put where room said.
func (c *chain) commit(n int) {
	c.last.end += n
	c.size += int64(n)
}

func (c *chain) append(p []byte) {
	for len(p) > 0 {
		n := copy(c.room(int64(len(p))), p)
		c.commit(n)
		p = p[n:]
	}
}

func (c *chain) grow(next *chunk) {
	kept.Add(int64(len(next.data)))
	if c.last == nil {
		c.first = next
	} else {
		c.last.next = next
	}
	c.last = next
}

// drop frees the first chunk.
func (c *chain) drop() {
	gone := c.first
	c.first = gone.next
	if c.first == nil {
		c.last = nil
	}
	kept.Add(-int64(len(gone.data)))
	gone.free()
}

func (c *chain) free() {
	for c.first != nil {
		c.drop()
	}
	c.size = 0
}
