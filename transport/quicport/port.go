// Package quicport is a UDP port for QUIC that outlives a process. One process
// reads it at a time: the newest. Each puts its generation into the connection
// ids that it issues, and the newest passes on what is for those before it; they
// write to the port themselves.
//
//	port --> newest --line--> the one before --line--> the one before that
//
// What a client sends before it knows an id of ours is for the newest. So are
// its later Initial packets: an older process that misses them still sees the
// end of the handshake.
package quicport

import (
	"crypto/rand"
	"encoding/binary"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"github.com/quic-go/quic-go"
	"golang.org/x/net/ipv4"
)

// idLength is of connection ids, in bytes; the first is the generation.
const idLength = 8

// Key makes tokens. Processes that share a port have to have the same one, so that
// each takes the tokens of the others (RFC 9000, section 8.1.3).
type Key = quic.TokenGeneratorKey

// NewKey returns a random one.
func NewKey() (key Key) {
	rand.Read(key[:])
	return key
}

// Port is the port as one process has it. It is what quic.Transport takes as a
// connection; only that reads from it.
type Port struct {
	*net.UDPConn
	generation byte
	key        Key
	batch      *ipv4.PacketConn

	before *line                // to the process before this one; nil: there is none, or no more
	after  atomic.Pointer[line] // from the newest process; nil: this one reads the port

	reading sync.Mutex // held while this process reads the port itself
	mu      sync.Mutex // orders what moves the deadline of reads
	stopped bool
	stop    chan struct{} // closed when stopped
}

// New makes a Port of a process of that generation. before is where the packets
// of the one before it go, nil if there is none.
func New(conn *net.UDPConn, generation byte, key Key, before *net.UnixConn) *Port {
	p := &Port{UDPConn: conn, generation: generation, key: key, batch: ipv4.NewPacketConn(conn), stop: make(chan struct{})}
	if before != nil {
		p.before = newLine(before)
	}
	return p
}

// Transport returns one that issues the ids of this process.
func (p *Port) Transport() *quic.Transport {
	return &quic.Transport{Conn: p, ConnectionIDGenerator: p, TokenGeneratorKey: &p.key}
}

// Generation is that of this process; its successor's is one more.
func (p *Port) Generation() byte { return p.generation }

// Key is the port's.
func (p *Port) Key() Key { return p.key }

// GenerateConnectionID implements quic.ConnectionIDGenerator.
func (p *Port) GenerateConnectionID() (quic.ConnectionID, error) {
	var id [idLength]byte
	rand.Read(id[:])
	id[0] = p.generation
	return quic.ConnectionIDFromBytes(id[:]), nil
}

// ConnectionIDLen implements quic.ConnectionIDGenerator.
func (p *Port) ConnectionIDLen() int { return idLength }

// HandTo has another process read the port from now on, which sends what is for
// this one over a line: when it returns, this one reads it no more. If that
// process is gone, the port comes back to this one, unless it was given for
// good: then somebody else starts one that reads it.
func (p *Port) HandTo(after *net.UnixConn, good bool) {
	p.mu.Lock()
	line := newLine(after)
	line.handed = good
	p.after.Store(line)
	p.UDPConn.SetReadDeadline(time.Unix(1, 0)) // ends the read that is under way
	p.mu.Unlock()
	p.reading.Lock()
	defer p.reading.Unlock() // that it is over is all that counts
}

// SetReadDeadline implements net.Conn. quic-go sets one when it stops reading.
func (p *Port) SetReadDeadline(t time.Time) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !t.IsZero() && !p.stopped {
		p.stopped = true
		close(p.stop)
	}
	if after := p.after.Load(); after != nil {
		return after.conn.SetReadDeadline(t)
	}
	return p.UDPConn.SetReadDeadline(t)
}

// Close closes the port and the lines.
func (p *Port) Close() error {
	if p.before != nil {
		p.before.conn.Close()
	}
	if after := p.after.Load(); after != nil {
		after.conn.Close()
	}
	return p.UDPConn.Close()
}

// ReadBatch is what quic-go reads with. It returns the packets of this process.
func (p *Port) ReadBatch(batch []ipv4.Message, flags int) (int, error) {
	for {
		after := p.after.Load()
		var n int
		var err error
		if after == nil {
			n, err = p.readPort(batch, flags)
		} else {
			n, err = after.read(batch)
		}
		switch {
		case err != nil && p.goesOn(after):
			continue
		case err != nil:
			return 0, err
		}
		if p.before != nil && !p.before.dead.Load() {
			n = p.passOn(batch[:n])
		}
		if n > 0 {
			return n, nil
		}
	}
}

func (p *Port) readPort(batch []ipv4.Message, flags int) (int, error) {
	p.reading.Lock()
	defer p.reading.Unlock()
	return p.batch.ReadBatch(batch, flags)
}

// goesOn reports whether there is more to read after a read has failed: the port
// has been handed to another process meanwhile, or has come back from one that is
// no more.
func (p *Port) goesOn(after *line) bool {
	if after == nil {
		return p.after.Load() != nil && !p.isStopped()
	}
	if p.isStopped() {
		return false
	}
	if after.handed { // and so there is a newer one, which reads
		<-p.stop
		return false
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.stopped {
		return false
	}
	after.conn.Close()
	p.after.Store(nil)
	p.UDPConn.SetReadDeadline(time.Time{})
	return true
}

func (p *Port) isStopped() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.stopped
}

// HandedOn tells the process before this one that there is a newer one than this:
// the port is not to come back to it.
func (p *Port) HandedOn() {
	if p.before != nil {
		p.before.sayHanded()
	}
}

// passOn sends on what is not of this process, and returns how much is left of
// batch. Messages keep their places, because quic-go knows their buffers by these.
func (p *Port) passOn(batch []ipv4.Message) (left int) {
	for i := range batch {
		m := &batch[i]
		if generation, issued := generationOf(m.Buffers[0][:m.N]); issued && generation != p.generation {
			p.before.send(m)
			continue
		}
		if left < i {
			to := &batch[left]
			to.N, to.NN, to.Flags, to.Addr = copy(to.Buffers[0], m.Buffers[0][:m.N]), copy(to.OOB, m.OOB[:m.NN]), m.Flags, m.Addr
		}
		left++
	}
	return left
}

// The bits of a packet's first byte (RFC 9000, section 17), and the types of long
// headers that carry an id of ours for certain.
const (
	longHeader   = 0x80
	fixedBit     = 0x40
	version1     = 1
	version2     = 0x6b3343cf // RFC 9369
	handshakeOf1 = 2
	handshakeOf2 = 3
)

// generationOf reads the generation from the connection id that a packet is for,
// if one of our processes has issued that.
func generationOf(packet []byte) (generation byte, issued bool) {
	const id = 1                // its place after a short header
	const length, longID = 5, 6 // its length's and its own after a long one
	switch {
	case len(packet) < longID+idLength:
		return 0, false
	case packet[0]&longHeader == 0:
		return packet[id], packet[0]&fixedBit != 0
	case packet[length] != idLength:
		return 0, false
	}
	kind := packet[0] >> 4 & 3
	switch binary.BigEndian.Uint32(packet[1:]) {
	case version1:
		return packet[longID], kind == handshakeOf1
	case version2:
		return packet[longID], kind == handshakeOf2
	}
	return 0, false
}
