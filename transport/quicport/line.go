package quicport

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"sync/atomic"
	"syscall"

	"golang.org/x/net/ipv4"

	"kamal-proxy/transport/sockets"
)

// line carries packets from one process to another. A packet that finds no room
// is lost, as it would be at a port.
type line struct {
	conn   *net.UnixConn
	raw    syscall.RawConn
	frame  []byte // of the goroutine that reads the port, to be used again
	handed bool   // the port is not to come back from the other end; read's own
	dead   atomic.Bool
}

// A message on a line is one of:
//
//	0                                               the sender has handed the port on
//	1, address, length of OOB (2 bytes), OOB, packet
//
// The address is its length (1 byte) and netip.AddrPort's binary form.
const (
	handedOn = 0
	aPacket  = 1
)

// maxFrame is more than a packet that quic-go reads (1,452 bytes), with what
// belongs to it.
const maxFrame = 4096

func newLine(conn *net.UnixConn) *line {
	raw, err := conn.SyscallConn()
	if err != nil { // it is closed
		raw = nil
	}
	return &line{conn: conn, raw: raw, frame: make([]byte, 0, maxFrame)}
}

// NewLine makes a line between two processes: this one's end, for HandTo, and
// the file for the other, from which that makes its end with Line.
func NewLine() (*net.UnixConn, *os.File, error) {
	end, theirs, err := sockets.Pair(lineKind, "line")
	if err != nil {
		return nil, nil, err
	}
	ours, err := Line(end)
	if err != nil {
		theirs.Close()
		return nil, nil, err
	}
	return ours, theirs, nil
}

// Line takes over a file that is one end of a line.
func Line(file *os.File) (*net.UnixConn, error) {
	defer file.Close()
	conn, err := net.FileConn(file)
	if err != nil {
		return nil, err
	}
	unix, ok := conn.(*net.UnixConn)
	if !ok {
		conn.Close()
		return nil, fmt.Errorf("%s is no unix socket", conn.LocalAddr().Network())
	}
	return unix, nil
}

// send passes a packet on. It never waits.
func (l *line) send(m *ipv4.Message) {
	from, ok := m.Addr.(*net.UDPAddr)
	if !ok {
		return
	}
	address, err := from.AddrPort().MarshalBinary()
	if err != nil {
		return
	}
	l.frame = append(l.frame[:0], aPacket, byte(len(address)))
	l.frame = append(l.frame, address...)
	l.frame = binary.BigEndian.AppendUint16(l.frame, uint16(m.NN))
	l.frame = append(l.frame, m.OOB[:m.NN]...)
	l.frame = append(l.frame, m.Buffers[0][:m.N]...)
	l.write(l.frame)
}

func (l *line) sayHanded() { l.write([]byte{handedOn}) }

func (l *line) write(frame []byte) {
	if l.raw == nil {
		return
	}
	l.raw.Write(func(fd uintptr) bool {
		_, err := syscall.Write(int(fd), frame) // it does not block: the net package sees to that
		if err == syscall.EPIPE || err == syscall.ECONNREFUSED || err == syscall.ECONNRESET {
			l.dead.Store(true) // the other process has ended
		}
		return true
	})
}

// read waits for a packet and puts it into the first message of batch. An error
// is for good.
func (l *line) read(batch []ipv4.Message) (int, error) {
	for {
		frame := l.frame[:cap(l.frame)]
		n, err := l.conn.Read(frame)
		if err != nil {
			return 0, err
		}
		if n == 0 {
			return 0, io.EOF
		}
		if frame[0] == handedOn {
			l.handed = true
			continue
		}
		if unpack(frame[:n], &batch[0]) == nil {
			return 1, nil
		}
	}
}

var errFrame = errors.New("this is no message of a line")

// unpack reads a frame into m.
func unpack(frame []byte, m *ipv4.Message) error {
	if len(frame) < 2 || frame[0] != aPacket || len(frame) < 2+int(frame[1])+2 {
		return errFrame
	}
	var from netip.AddrPort
	address, rest := frame[2:2+frame[1]], frame[2+frame[1]:]
	if err := from.UnmarshalBinary(address); err != nil {
		return err
	}
	oob := int(binary.BigEndian.Uint16(rest))
	if rest = rest[2:]; len(rest) < oob || oob > len(m.OOB) || len(rest)-oob > len(m.Buffers[0]) {
		return errFrame
	}
	m.Addr = net.UDPAddrFromAddrPort(from)
	m.NN = copy(m.OOB, rest[:oob])
	m.N = copy(m.Buffers[0], rest[oob:])
	return nil
}
