package ingress

import (
	"bytes"
	"io"
	"net"
	"time"

	"kamal-proxy/transport/exchange"
)

// tunnel is the client's side of an upgraded connection.
type tunnel struct {
	net.Conn
	early []byte // what the client sent behind its request's head
}

var _ exchange.Tunnel = (*tunnel)(nil)

// newTunnel takes over the connection of an exchange, and gives its buffers
// back.
func newTunnel(x *wireExchange) *tunnel {
	early := bytes.Clone(x.reader.Buffered())
	x.reader.Discard(len(early))
	x.reader.Release()
	x.writer.Release()
	x.conn.setReadDeadline(time.Time{})
	return &tunnel{x.conn.stream, early}
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
	if len(t.early) == 0 {
		return io.Copy(w, t.Conn)
	}
	n, err := w.Write(t.early)
	t.early = t.early[n:]
	if err != nil {
		return int64(n), err
	}
	m, err := io.Copy(w, t.Conn)
	return int64(n) + m, err
}

func (t *tunnel) ReadFrom(r io.Reader) (int64, error) { return io.Copy(t.Conn, r) }

// CloseWrite implements exchange.Tunnel.
func (t *tunnel) CloseWrite() error { return closeWrite(t.Conn) }
