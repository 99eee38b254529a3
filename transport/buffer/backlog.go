package buffer

// backlog is a queue of bytes: what a client is too slow for. The oldest are in
// memory, what memory had no room for is in a file, and once the file has been
// read memory takes over again.
type backlog struct {
	limits Limits
	most   int64 // bytes that it may have; 0: no limit
	memory chain
	at     int // bytes taken of the first chunk
	disk   disk
	from   int64 // bytes taken of the file
	broken bool  // the file takes no more, until it has been read
}

func (b *backlog) len() int64 { return b.memory.size + b.disk.end - b.from }

// put appends p, or as much of it as there is room for. An empty backlog has
// room for any p.
func (b *backlog) put(p []byte) int {
	if b.len() == 0 {
		b.memory.append(p)
		return len(p)
	}
	if b.most > 0 {
		p = p[:min(int64(len(p)), max(0, b.most-b.len()))]
	}
	n := 0
	if b.disk.end == b.from {
		n = int(min(int64(len(p)), b.limits.memoryLeft(b.memory.size)))
		b.memory.append(p[:n])
	}
	if n < len(p) && !b.broken {
		m, err := b.disk.write(p[n:], &b.limits)
		b.broken = err != nil
		n += m
	}
	return n
}

// take moves the oldest bytes into p, all that fit. Its error is a *DiskError.
func (b *backlog) take(p []byte) (int, error) {
	n := 0
	for b.memory.size > 0 && n < len(p) {
		n += b.takeMemory(p[n:])
	}
	m, err := b.disk.readAt(p[n:], b.from, &b.limits)
	b.from += int64(m)
	if b.from == b.disk.end {
		b.disk.clear()
		b.from, b.broken = b.disk.end, false
	}
	return n + m, err
}

func (b *backlog) takeMemory(p []byte) int {
	n := copy(p, b.memory.first.data[b.at:b.memory.first.end])
	b.at += n
	b.memory.size -= int64(n)
	if b.at == b.memory.first.end {
		b.memory.drop()
		b.at = 0
	}
	return n
}

func (b *backlog) close() {
	b.memory.free()
	b.disk.close()
	*b = backlog{}
}
