package http2

import "encoding/binary"

// Settings (RFC 9113, section 6.5.2).
const (
	settingTableSize     = 1
	settingEnablePush    = 2
	settingMaxStreams    = 3
	settingInitialWindow = 4
	settingMaxFrame      = 5
	settingMaxHeaderList = 6
)

func (c *conn) receiveSettings(f *frame) error {
	switch {
	case f.stream != 0:
		return &connError{protocolError, "SETTINGS for a stream"}
	case f.has(flagAck) && len(f.payload) != 0, len(f.payload)%6 != 0:
		return &connError{frameSizeError, "SETTINGS of a wrong size"}
	}
	if err := c.calmly(); err != nil || f.has(flagAck) {
		return err
	}
	c.settled = true
	c.mu.Lock()
	defer c.mu.Unlock()
	window := c.initialWindow
	for p := f.payload; len(p) > 0; p = p[6:] {
		id, value := binary.BigEndian.Uint16(p), binary.BigEndian.Uint32(p[2:])
		switch {
		case id == settingTableSize:
			c.encoder.allow(value)
		case id == settingEnablePush && value > 1:
			return &connError{protocolError, "SETTINGS_ENABLE_PUSH is neither 0 nor 1"}
		case id == settingInitialWindow && value > maxWindow:
			return &connError{flowControlError, "SETTINGS_INITIAL_WINDOW_SIZE is too large"}
		case id == settingInitialWindow:
			window = int64(value)
		case id == settingMaxFrame && (value < frameMost || value > 1<<24-1):
			return &connError{protocolError, "SETTINGS_MAX_FRAME_SIZE is out of range"}
		}
	}
	if err := c.resizeWindows(window); err != nil {
		return err
	}
	c.control()
	c.out.pending = appendFrame(c.out.pending, 0, frameSettings, flagAck, 0)
	return nil
}

// resizeWindows changes what may be sent on each stream, which may be less than
// nothing afterwards (section 6.9.2).
func (c *conn) resizeWindows(window int64) error {
	change := window - c.initialWindow
	c.initialWindow = window
	if change == 0 {
		return nil
	}
	for _, s := range c.streams {
		if s.window += change; s.window > maxWindow {
			return &connError{flowControlError, "SETTINGS_INITIAL_WINDOW_SIZE makes a window too large"}
		}
		s.sendable.Signal()
	}
	return nil
}
