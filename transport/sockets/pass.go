package sockets

import (
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"slices"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// Open is the sockets of a process; nil: it has none of that name.
type Open struct {
	HTTP, HTTPS, Metrics, Control net.Listener
	HTTP3                         *net.UDPConn

	// ControlFile is the control socket's file, if who gets the socket is to
	// remove it in the end. Then whoever passes it leaves it alone once the
	// other has taken over.
	ControlFile string
}

// Pass makes a command that is not started yet inherit these sockets: it gets
// copies among its ExtraFiles, and in its environment what Inherit looks for.
// release closes the copies, to be called after Start, whether it succeeded or not.
func Pass(cmd *exec.Cmd, open Open) (release func(), err error) {
	var files []*os.File
	release = func() {
		for _, file := range files {
			file.Close()
		}
	}
	var entries []string
	for _, socket := range open.list() {
		file, err := duplicate(socket.conn)
		if err != nil {
			release()
			return nil, fmt.Errorf("unable to pass on the socket %s: %w", socket.name, err)
		}
		files = append(files, file)
		cmd.ExtraFiles = append(cmd.ExtraFiles, file)
		entries = append(entries, fmt.Sprintf("%s=%d", socket.name, firstFD-1+len(cmd.ExtraFiles)))
	}
	if cmd.Env == nil {
		cmd.Env = os.Environ()
	}
	cmd.Env = slices.DeleteFunc(cmd.Env, tellsOfSockets)
	if len(entries) > 0 {
		cmd.Env = append(cmd.Env, variable+"="+strings.Join(entries, ","))
	}
	if open.ControlFile != "" {
		cmd.Env = append(cmd.Env, fileVariable+"="+open.ControlFile)
	}
	return release, nil
}

func tellsOfSockets(entry string) bool {
	name, _, _ := strings.Cut(entry, "=")
	return name == variable || name == fileVariable || slices.Contains(systemdVariables, name)
}

type named struct {
	name string
	conn any
}

func (o Open) list() (sockets []named) {
	for _, l := range []struct {
		name     string
		listener net.Listener
	}{{HTTP, o.HTTP}, {HTTPS, o.HTTPS}, {Metrics, o.Metrics}, {Control, o.Control}} {
		if l.listener != nil {
			sockets = append(sockets, named{l.name, l.listener})
		}
	}
	if o.HTTP3 != nil {
		sockets = append(sockets, named{HTTP3, o.HTTP3})
	}
	return sockets
}

// duplicate returns another descriptor of a socket. It does not go by the
// socket's File method: asking what that returns for its number would make the
// socket blocking, in every process that has it.
func duplicate(socket any) (*os.File, error) {
	conn, ok := socket.(syscall.Conn)
	if !ok {
		return nil, fmt.Errorf("a %T has no descriptor", socket)
	}
	raw, err := conn.SyscallConn()
	if err != nil {
		return nil, err
	}
	copied, failed := -1, error(nil)
	err = raw.Control(func(fd uintptr) {
		copied, failed = unix.FcntlInt(fd, unix.F_DUPFD_CLOEXEC, firstFD)
	})
	if err := errors.Join(err, failed); err != nil {
		return nil, err
	}
	return os.NewFile(uintptr(copied), ""), nil
}
