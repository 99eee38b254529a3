package ingress

import (
	"errors"
	"fmt"
	"io"
	"net"
	"syscall"
)

// introduced takes the PROXY protocol header of a connection that has to begin
// with one, and with it the client's address. It reports whether the connection
// goes on: one that begins otherwise is closed without a word, as the protocol
// has it. Nothing but the header is read, so that all that comes later may use
// the socket itself. Until it is in, the connection is idle.
func (c *conn) introduced() bool {
	if !c.server.expectsIntroduction(c) {
		return true
	}
	c.setReadDeadline(c.rest().Add(c.server.headTimeout))
	err := c.readIntroduction()
	if !c.wake() {
		return false
	}
	if err != nil && !errors.Is(err, io.EOF) && !errors.Is(err, net.ErrClosed) {
		c.server.introductions.add(c.peer.client.String(), err)
	}
	return err == nil
}

// expectsIntroduction reports whether a connection has to begin with a header.
// Nobody is left to guess (section 4 of its specification): those who must send
// one are the believed ones, or all where nobody is named; what others send is
// no header.
func (s *Server) expectsIntroduction(c *conn) bool {
	return s.proxyProtocol && (s.trusted == nil || s.trusted.Has(c.peer.client.Addr()))
}

func (c *conn) readIntroduction() error {
	if c.raw == nil {
		return errors.New("the connection is no socket")
	}
	in := introduction{block: inletBlocks.Get().(*[inletSize]byte)}
	defer inletBlocks.Put(in.block)
	if err := c.raw.Read(in.read); err != nil {
		return err
	}
	if in.err != nil {
		return in.err
	}
	client, err := parseProxyHeader(in.block[:in.have])
	if err == nil && client.IsValid() {
		c.peer.client = client
	}
	return err
}

// introduction is a PROXY protocol header on its way in.
type introduction struct {
	block *[inletSize]byte
	have  int // bytes of the header
	err   error
}

// read takes what there is of the header. It returns false where more is to
// come, to be called again when something has.
func (in *introduction) read(fd uintptr) (done bool) {
	for {
		n, err := in.peek(int(fd))
		switch {
		case err == syscall.EAGAIN:
			return false
		case err != nil:
			in.err = fmt.Errorf("unable to read the PROXY protocol header: %w", err)
			return true
		case n == 0:
			in.err = io.EOF
			if in.have > 0 {
				in.err = io.ErrUnexpectedEOF
			}
			return true
		}
		extent, whole, err := proxyExtent(in.block[:in.have+n])
		if err == nil {
			err = in.take(int(fd), extent)
		}
		if err != nil || whole {
			in.err = err
			return true
		}
	}
}

// peek looks at what has come, behind what was taken.
func (in *introduction) peek(fd int) (int, error) {
	for {
		n, _, err := syscall.Recvfrom(fd, in.block[in.have:], syscall.MSG_PEEK)
		if err != syscall.EINTR {
			return n, err
		}
	}
}

// take reads bytes that were seen, up to the extent of the header.
func (in *introduction) take(fd, extent int) error {
	for in.have < extent {
		n, err := syscall.Read(fd, in.block[in.have:extent])
		switch {
		case err == syscall.EINTR:
		case err != nil:
			return err
		case n == 0:
			return io.ErrUnexpectedEOF
		default:
			in.have += n
		}
	}
	return nil
}
