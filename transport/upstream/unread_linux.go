package upstream

import (
	"time"

	"golang.org/x/sys/unix"
)

const (
	tcpClosed  = 7 // TCP_CLOSE: reset by the other end
	unreadWait = 100 * time.Millisecond
)

// unread reports whether it is certain that the target cannot have read a byte
// of the last request: the connection was reset, and the target's kernel has
// never acknowledged any of it. That a reset follows the end that was seen may
// take a round trip, so it waits a moment.
func (c *conn) unread() bool {
	for pause := time.Millisecond; pause < unreadWait; pause *= 2 {
		info, err := c.info()
		switch {
		case err != nil || info.Bytes_acked > uint64(c.before)+1: // the handshake counts as one
			return false
		case info.State == tcpClosed:
			return true
		}
		time.Sleep(pause)
	}
	return false
}

// received reports whether the target's kernel has acknowledged all that was
// written.
func (c *conn) received() bool {
	info, err := c.info()
	return err == nil && info.Notsent_bytes == 0 && info.Unacked == 0
}

func (c *conn) info() (info *unix.TCPInfo, err error) {
	failed := c.raw.Control(func(fd uintptr) {
		info, err = unix.GetsockoptTCPInfo(int(fd), unix.IPPROTO_TCP, unix.TCP_INFO)
	})
	if failed != nil {
		return nil, failed
	}
	return info, err
}
