package control

import (
	"net"

	"golang.org/x/sys/unix"
)

// peerUser says which user is at the other end.
func peerUser(conn *net.UnixConn) (uid int, known bool) {
	raw, err := conn.SyscallConn()
	if err != nil {
		return nobody, true
	}
	var cred *unix.Ucred
	controlErr := raw.Control(func(fd uintptr) {
		cred, err = unix.GetsockoptUcred(int(fd), unix.SOL_SOCKET, unix.SO_PEERCRED)
	})
	if controlErr != nil || err != nil {
		return nobody, true
	}
	return int(cred.Uid), true
}
