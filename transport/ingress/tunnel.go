package ingress

import (
	"bufio"
	"context"
	"net"
	"sync"

	"kamal-proxy/transport/exchange"
)

// tunnel is the client's side of an upgraded connection.
type tunnel struct {
	net.Conn
	early *bufio.Reader // what the client sent behind its request's head; nil: all read
	set   *tunnels
}

func (t *tunnel) Read(p []byte) (int, error) {
	if t.early != nil {
		if t.early.Buffered() > 0 {
			return t.early.Read(p)
		}
		t.early = nil
	}
	return t.Conn.Read(p)
}

// CloseWrite implements exchange.Tunnel.
func (t *tunnel) CloseWrite() error {
	if half, ok := t.Conn.(interface{ CloseWrite() error }); ok {
		return half.CloseWrite()
	}
	return t.Close()
}

func (t *tunnel) Close() error {
	t.set.remove(t)
	return t.Conn.Close()
}

var _ exchange.Tunnel = (*tunnel)(nil)

// tunnels are the open tunnels of a server. net/http forgets a connection that
// is upgraded, so they are kept here for Shutdown.
type tunnels struct {
	mu     sync.Mutex
	open   map[*tunnel]struct{}
	closed bool          // those that open now are closed at once
	none   chan struct{} // closed when the last one goes; nil: nobody waits
}

// add takes in a tunnel, before net/http forgets its connection. It returns
// false if it is too late for one.
func (ts *tunnels) add(t *tunnel) bool {
	ts.mu.Lock()
	defer ts.mu.Unlock()
	if ts.closed {
		return false
	}
	if ts.open == nil {
		ts.open = make(map[*tunnel]struct{})
	}
	ts.open[t] = struct{}{}
	return true
}

func (ts *tunnels) remove(t *tunnel) {
	ts.mu.Lock()
	defer ts.mu.Unlock()
	delete(ts.open, t)
	if len(ts.open) == 0 && ts.none != nil {
		close(ts.none)
		ts.none = nil
	}
}

// wait returns nil once no tunnel is open, or ctx's error.
func (ts *tunnels) wait(ctx context.Context) error {
	ts.mu.Lock()
	if len(ts.open) == 0 {
		ts.mu.Unlock()
		return nil
	}
	if ts.none == nil {
		ts.none = make(chan struct{})
	}
	none := ts.none
	ts.mu.Unlock()

	select {
	case <-none:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// cut closes all tunnels, and lets no other one open. Their owners see their
// reads and writes fail.
func (ts *tunnels) cut() {
	ts.mu.Lock()
	defer ts.mu.Unlock()
	ts.closed = true
	for t := range ts.open {
		raw(t.Conn).Close()
	}
}
