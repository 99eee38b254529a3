package http2

// receive acts on a frame. The error is a *streamError or a *connError.
func (c *conn) receive(f *frame) error {
	if err := c.inOrder(f); err != nil {
		return err
	}
	switch f.kind {
	case frameData:
		return c.receiveData(f)
	case frameHeaders:
		return c.receiveHeaders(f)
	case frameContinuation:
		return c.receiveContinuation(f)
	case frameReset:
		return c.receiveReset(f)
	case frameSettings:
		return c.receiveSettings(f)
	case framePing:
		return c.receivePing(f)
	case frameWindowUpdate:
		return c.receiveWindowUpdate(f)
	case framePriority:
		return c.receivePriority(f)
	case frameGoAway:
		return c.receiveGoAway(f)
	case framePushPromise:
		return &connError{protocolError, "a client cannot push"}
	}
	return c.calmly() // section 5.5: what is not known is not looked at
}

// inOrder refuses what cannot come now (sections 3.4 and 6.10).
func (c *conn) inOrder(f *frame) error {
	switch {
	case !c.settled && (f.kind != frameSettings || f.has(flagAck)):
		return &connError{protocolError, "the first frame is not SETTINGS"}
	case c.head.open && (f.kind != frameContinuation || f.stream != c.head.id):
		return &connError{protocolError, "a head is interrupted by another frame"}
	case !c.head.open && f.kind == frameContinuation:
		return &connError{protocolError, "CONTINUATION continues nothing"}
	}
	return nil
}

var errNoise = &connError{enhanceYourCalm, "too many frames that ask for nothing"}

// calmly counts a frame that costs its sender nothing.
func (c *conn) calmly() error {
	if !c.calm.spend() {
		return errNoise
	}
	return nil
}

// resetFor resets a stream that its client broke.
func (c *conn) resetFor(e *streamError) error {
	if !c.resets.spend() {
		return &connError{enhanceYourCalm, "too many streams are broken"}
	}
	c.server.config.Log.Debug().Err(e).Str("client", c.peer.Client.String()).Msg("Request refused")
	c.mu.Lock()
	defer c.mu.Unlock()
	if s := c.streams[e.stream]; s != nil {
		s.abort(e.code)
		return nil
	}
	if e.stream > c.lastID {
		return &connError{e.code, e.reason}
	}
	c.left.add(e.stream)
	c.control()
	c.out.pending = appendReset(c.out.pending, e.stream, e.code)
	return nil
}

// known tells what a frame's stream is: nil: it has ended. One that was never
// begun is an error (section 5.1).
func (c *conn) known(id uint32) (*stream, error) {
	s := c.streams[id]
	if s == nil && (id > c.lastID || id%2 == 0) {
		return nil, &connError{protocolError, "a frame is for a stream that has not begun"}
	}
	return s, nil
}

func (c *conn) receiveData(f *frame) error {
	size := len(f.payload)
	if f.stream == 0 {
		return &connError{protocolError, "DATA for no stream"}
	}
	if err := f.unpad(); err != nil {
		return err
	}
	last := f.has(flagEndStream)
	if len(f.payload) == 0 && !last {
		if err := c.calmly(); err != nil {
			return err
		}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	s, err := c.known(f.stream)
	if err != nil {
		return err
	}
	if c.received -= size; c.received < 0 {
		return &connError{flowControlError, "more DATA than the connection's window allows"}
	}
	if s == nil {
		c.refund(size)
		if c.left.has(f.stream) || c.refusing && f.stream > c.accepted {
			return nil
		}
		return &streamError{f.stream, streamClosed, "DATA for a stream that has ended"}
	}
	return s.receiveData(f.payload, size, last)
}

// receiveReset ends a stream that the client has no use for. One that is begun
// only to be reset costs us more than the client.
func (c *conn) receiveReset(f *frame) error {
	switch {
	case f.stream == 0:
		return &connError{protocolError, "RST_STREAM for no stream"}
	case len(f.payload) != 4:
		return &connError{frameSizeError, "RST_STREAM is not of 4 bytes"}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	s, err := c.known(f.stream)
	if err != nil {
		return err
	}
	if s == nil {
		return c.calmly()
	}
	s.depart()
	delete(c.streams, f.stream)
	if !c.resets.spend() {
		return &connError{enhanceYourCalm, "too many streams are reset"}
	}
	return nil
}

func (c *conn) receivePing(f *frame) error {
	switch {
	case f.stream != 0:
		return &connError{protocolError, "PING for a stream"}
	case len(f.payload) != 8:
		return &connError{frameSizeError, "PING is not of 8 bytes"}
	case f.has(flagAck):
		if string(f.payload) == string(retirement[:]) && c.isRetiring() {
			c.settle()
		}
		return c.calmly()
	}
	if err := c.calmly(); err != nil {
		return err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.control()
	c.out.pending = appendPing(c.out.pending, flagAck, f.payload)
	return nil
}

func (c *conn) receiveWindowUpdate(f *frame) error {
	if len(f.payload) != 4 {
		return &connError{frameSizeError, "WINDOW_UPDATE is not of 4 bytes"}
	}
	if err := c.calmly(); err != nil {
		return err
	}
	more := int64(word(f.payload))
	c.mu.Lock()
	defer c.mu.Unlock()
	if f.stream == 0 {
		return c.widen(more)
	}
	s, err := c.known(f.stream)
	switch {
	case err != nil:
		return err
	case s == nil:
		return nil
	case more == 0:
		return &streamError{f.stream, protocolError, "a window is updated by nothing"}
	case s.window+more > maxWindow:
		return &streamError{f.stream, flowControlError, "a window becomes too large"}
	}
	s.window += more
	s.sendable.Signal()
	return nil
}

func (c *conn) widen(more int64) error {
	switch {
	case more == 0:
		return &connError{protocolError, "the connection's window is updated by nothing"}
	case c.window+more > maxWindow:
		return &connError{flowControlError, "the connection's window becomes too large"}
	}
	c.window += more
	c.forWindow.admit()
	return nil
}

func (c *conn) receivePriority(f *frame) error {
	switch {
	case f.stream == 0:
		return &connError{protocolError, "PRIORITY for no stream"}
	case len(f.payload) != 5:
		return &streamError{f.stream, frameSizeError, "PRIORITY is not of 5 bytes"}
	case word(f.payload) == f.stream:
		return &streamError{f.stream, protocolError, "a stream depends on itself"}
	}
	return c.calmly()
}

func (c *conn) receiveGoAway(f *frame) error {
	switch {
	case f.stream != 0:
		return &connError{protocolError, "GOAWAY for a stream"}
	case len(f.payload) < 8:
		return &connError{frameSizeError, "GOAWAY is shorter than 8 bytes"}
	}
	c.retire()
	return c.calmly()
}

func (c *conn) isRetiring() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.retiring
}

// refund lets the client send n bytes more, on the whole. It is told in large
// portions.
func (c *conn) refund(n int) {
	c.refunds += n
	if c.refunds < connWindow/4 || c.broken || c.ending {
		return
	}
	c.control()
	c.out.pending = appendWindowUpdate(c.out.pending, 0, c.refunds)
	c.received += c.refunds
	c.refunds = 0
}
