package handover

import (
	"encoding/json"
	"errors"
	"io"
	"net"
	"os"
	"sync"
	"syscall"

	"kamal-proxy/transport/sockets"
)

// pair is one process's end of the socket pair. Whoever sends never waits.
type pair struct {
	conn net.Conn
	in   *json.Decoder

	mu     sync.Mutex // guards queue
	queue  []outgoing
	more   chan struct{} // capacity 1: the queue has grown
	broken chan struct{} // closed when nothing can be sent or read any more
	err    error         // what was no message; set before broken is closed
	once   sync.Once
}

type outgoing struct {
	message
	sent chan struct{} // closed when it is with the kernel; nil: nobody wants to know
}

func newPair(conn net.Conn) *pair {
	p := &pair{conn: conn, in: json.NewDecoder(conn), more: make(chan struct{}, 1), broken: make(chan struct{})}
	go p.write()
	return p
}

// newSocketPair makes both ends: ours, and the file for the other process.
func newSocketPair() (*pair, *os.File, error) {
	end, theirs, err := sockets.Pair(syscall.SOCK_STREAM, "pair")
	if err != nil {
		return nil, nil, err
	}
	ours, err := pairOn(end)
	if err != nil {
		theirs.Close()
		return nil, nil, err
	}
	return ours, theirs, nil
}

// pairOn takes over a file that is one end.
func pairOn(file *os.File) (*pair, error) {
	conn, err := net.FileConn(file)
	file.Close()
	if err != nil {
		return nil, err
	}
	return newPair(conn), nil
}

// send puts m in the queue.
func (p *pair) send(m message) { p.enqueue(outgoing{message: m}) }

// say waits until m has been sent, or nothing can be sent any more.
func (p *pair) say(m message) {
	sent := make(chan struct{})
	p.enqueue(outgoing{m, sent})
	select {
	case <-sent:
	case <-p.broken:
	}
}

func (p *pair) enqueue(o outgoing) {
	p.mu.Lock()
	p.queue = append(p.queue, o)
	p.mu.Unlock()
	select {
	case p.more <- struct{}{}:
	default:
	}
}

// write is the goroutine that sends.
func (p *pair) write() {
	out := json.NewEncoder(p.conn)
	for {
		select {
		case <-p.more:
		case <-p.broken:
			return
		}
		for _, o := range p.take() {
			if err := out.Encode(o.message); err != nil {
				p.close()
				return
			}
			if o.sent != nil {
				close(o.sent)
			}
		}
	}
}

func (p *pair) take() []outgoing {
	p.mu.Lock()
	defer p.mu.Unlock()
	queue := p.queue
	p.queue = nil
	return queue
}

// each calls take with every message until the other end is closed or sends
// what is no message, and then closes the pair. One goroutine calls it.
func (p *pair) each(take func(message)) {
	defer p.close()
	for {
		var m message
		if err := p.in.Decode(&m); err != nil {
			p.fail(err)
			return
		}
		take(m)
	}
}

// fail closes the pair over what could not be read, unless that is its end.
func (p *pair) fail(err error) {
	p.once.Do(func() {
		if network := net.Error(nil); err != io.EOF && !errors.As(err, &network) {
			p.err = err
		}
		p.end()
	})
}

func (p *pair) close() { p.once.Do(p.end) }

func (p *pair) end() {
	close(p.broken)
	p.conn.Close()
}
