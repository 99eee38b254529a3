package upstream

import (
	"kamal-proxy/transport/exchange"
	"kamal-proxy/transport/socket"
)

// lift takes the rest of a long body past the process: from the client's
// connection to the target's, through a pipe in the kernel.
type lift struct {
	source exchange.Source
	pipe   *socket.Pipe
	least  int64
}

// newLift returns nil where the body has to go through memory.
func (x *call) newLift() *lift {
	source, ok := x.request.Body.(exchange.Source)
	if !ok || x.out.left < exchange.WorthAPipe || socket.TCP(x.conn.Conn) == nil {
		return nil
	}
	pipe := socket.NewPipe()
	if pipe == nil {
		return nil
	}
	return &lift{source, pipe, exchange.WorthAPipe}
}

// raise moves the next part of the body into the pipe, and reports whether it
// did. Where not, the next readPart tells why.
func (x *call) raise(l *lift) bool {
	if l == nil {
		return false
	}
	x.mu.Lock()
	x.reading = x.ended == nil
	reading := x.reading
	x.mu.Unlock()
	if !reading {
		return false
	}
	n := l.source.Fill(l.pipe, min(l.least, x.out.left))
	l.least = 1
	x.mu.Lock()
	x.reading = false
	x.mu.Unlock()
	x.out.left -= int64(n)
	x.out.whole = x.out.left == 0
	return n > 0
}

// lower moves what is in the pipe to the target.
func (x *call) lower(l *lift) error {
	n, err := l.pipe.Drain(x.conn.Conn)
	x.conn.written += int64(n)
	return err
}

func (l *lift) end() {
	if l != nil {
		l.pipe.Close()
	}
}
