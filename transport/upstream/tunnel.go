package upstream

import (
	"io"
	"net"
)

// halfCloser is a connection whose sending side can be closed alone.
type halfCloser interface{ CloseWrite() error }

// tunnel is a connection after 101. What the target sent together with its
// head is read first.
type tunnel struct {
	net.Conn
	early []byte
}

func newTunnel(c *conn) *tunnel {
	early := append([]byte(nil), c.reader.Buffered()...)
	c.reader.Discard(len(early))
	c.reader.Release()
	return &tunnel{c.Conn, early}
}

func (t *tunnel) Read(p []byte) (int, error) {
	if len(t.early) == 0 {
		return t.Conn.Read(p)
	}
	n := copy(p, t.early)
	t.early = t.early[n:]
	return n, nil
}

// WriteTo and ReadFrom let io.Copy move bytes within the kernel.
func (t *tunnel) WriteTo(w io.Writer) (int64, error) {
	n, err := w.Write(t.early)
	t.early = t.early[n:]
	if err != nil {
		return int64(n), err
	}
	m, err := io.Copy(w, t.Conn)
	return int64(n) + m, err
}

func (t *tunnel) ReadFrom(r io.Reader) (int64, error) {
	return io.Copy(t.Conn, r)
}

// CloseWrite implements exchange.Tunnel.
func (t *tunnel) CloseWrite() error {
	if c, ok := t.Conn.(halfCloser); ok {
		return c.CloseWrite()
	}
	return t.Conn.Close()
}
