package control

import (
	"fmt"
	"net"
	"os"
	"time"

	"github.com/rs/zerolog"
)

// guarded lets in the daemon's own user and root, where the system says who
// is at the other end. All others are hung up on.
type guarded struct {
	net.Listener
	allowed func(net.Conn) bool
	log     zerolog.Logger

	silentUntil time.Time
	untold      int // who were hung up on in silence
}

// complaintPause is how long the log says nothing of strangers after it has, be
// they as many as they like.
const complaintPause = time.Minute

func (g *guarded) Accept() (net.Conn, error) {
	for {
		conn, err := g.Listener.Accept()
		if err != nil || g.allowed(conn) {
			return conn, err
		}
		g.complain(conn)
		conn.Close()
	}
}

// complain is called by Accept alone.
func (g *guarded) complain(conn net.Conn) {
	now := time.Now()
	if now.Before(g.silentUntil) {
		g.untold++
		return
	}
	line := g.log.Warn()
	if local, ok := conn.(*net.UnixConn); ok {
		if uid, known := peerUser(local); known {
			line.Int("uid", uid)
		}
	}
	if g.untold > 0 {
		line.Int("more_before", g.untold)
	}
	line.Msg("Control connection of another user was closed")
	g.silentUntil, g.untold = now.Add(complaintPause), 0
}

// believable fails where another user answers at a socket: in a folder that
// many can write to, anybody may have put it there, and would be told everything
// and could say that all is done. Root may command every user's daemon, and has
// to know which one it asks.
func believable(conn net.Conn, path string) error {
	local, ok := conn.(*net.UnixConn)
	if !ok || os.Geteuid() == 0 {
		return nil
	}
	uid, known := peerUser(local)
	if !known || uid == 0 || uid == os.Geteuid() {
		return nil
	}
	return &impostorError{path, uid}
}

// impostorError says that the daemon's socket is not the daemon's.
type impostorError struct {
	path string
	uid  int
}

func (e *impostorError) Error() string {
	return fmt.Sprintf("what answers at %s runs as another user (uid %d), so it is not asked: run this command as that user or as root, "+
		"or set KAMAL_PROXY_SOCKET to your own proxy's socket", e.path, e.uid)
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
