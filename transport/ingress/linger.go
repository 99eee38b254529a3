package ingress

import (
	"crypto/tls"
	"errors"
	"io"
	"net"
	"os"
	"time"
)

const (
	lingerPause  = time.Second // a client that is silent for so long has no more to say
	lingerPauses = 5           // is the most that one is listened to
)

// linger shuts a connection on which the client may still be sending. Were its
// socket closed at once, the client would be sent a reset, and could lose the
// response over it. So the sending side is shut down, and what comes is thrown
// away for a moment (RFC 9112, section 9.6).
func (c *conn) linger() {
	if secure, ok := c.stream.(*tls.Conn); ok {
		secure.CloseWrite()
	}
	if closeWrite(c.socket) != nil {
		return
	}
	for range lingerPauses {
		c.socket.SetReadDeadline(time.Now().Add(lingerPause))
		if n, err := io.Copy(io.Discard, onlyReader{c.socket}); n == 0 || !errors.Is(err, os.ErrDeadlineExceeded) {
			return
		}
	}
}

// onlyReader hides what a connection can do beyond reading, so that a copy of
// it goes through a pooled buffer.
type onlyReader struct{ io.Reader }

func closeWrite(conn net.Conn) error {
	if half, ok := conn.(interface{ CloseWrite() error }); ok {
		return half.CloseWrite()
	}
	return conn.Close()
}
