package control

import (
	"net"
	"os"

	"github.com/rs/zerolog"
)

// guarded lets in the daemon's own user and root, where the system says who
// is at the other end. All others are hung up on.
type guarded struct {
	net.Listener
	allowed func(net.Conn) bool
	log     zerolog.Logger
}

func (g guarded) Accept() (net.Conn, error) {
	for {
		conn, err := g.Listener.Accept()
		if err != nil || g.allowed(conn) {
			return conn, err
		}
		g.log.Warn().Msg("Control connection of another user was closed")
		conn.Close()
	}
}

// nobody is the user of a peer whose system does not tell when it should.
const nobody = -1

func ownUserOrRoot(conn net.Conn) bool {
	local, ok := conn.(*net.UnixConn)
	if !ok {
		return false
	}
	uid, known := peerUser(local)
	return !known || uid == 0 || uid == os.Geteuid()
}
