package http2

// beginHead and endHead enclose a block in what is pending. The second returns
// where its first frame begins.
func (c *conn) beginHead() (start int) {
	c.open()
	start = len(c.out.pending)
	c.out.pending = c.encoder.begin(append(c.out.pending, make([]byte, frameHead)...))
	return start
}

func (c *conn) endHead(start int, id uint32, flags byte) {
	p := c.out.pending
	if n := len(p) - start - frameHead; n <= frameMost {
		appendFrame(p[:start], n, frameHeaders, flags|flagEndHeaders, id)
		return
	}
	block := append([]byte(nil), p[start+frameHead:]...)
	p = p[:start]
	for kind := frameHeaders; len(block) > 0; kind, flags = frameContinuation, 0 {
		n := min(len(block), frameMost)
		if n == len(block) {
			flags |= flagEndHeaders
		}
		p = append(appendFrame(p, n, kind, flags, id), block[:n]...)
		block = block[n:]
	}
	c.out.pending = p
}
