package control

import (
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"sync"
	"syscall"
	"time"
)

const (
	socketName   = "kamal-proxy.sock"
	maxAddress   = 103 // bytes, the least that a system gives a socket's path
	probeTimeout = 2 * time.Second
	placingTries = 8
)

// SocketPath says where the socket is, given the environment of the process.
func SocketPath(env func(string) string) string {
	if path := env("KAMAL_PROXY_SOCKET"); path != "" {
		return path
	}
	for _, folder := range []string{"XDG_RUNTIME_DIR", "TMPDIR"} {
		if dir := env(folder); dir != "" {
			return filepath.Join(dir, socketName)
		}
	}
	return filepath.Join("/tmp", socketName)
}

// Listen opens the socket at path for this user alone. A file that another
// daemon left there is replaced; a daemon that answers there, or a file that
// is no socket, is an error. Closing the listener removes the file, if it is
// still this one.
func Listen(path string) (*Socket, error) {
	l, err := listen(path)
	if err != nil {
		return nil, fmt.Errorf("unable to open the control socket %s: %w", path, err)
	}
	return l, nil
}

// listen makes the socket in a folder of its own and puts it in its place when
// it is complete: whoever sees it there finds it listening, with its mode.
func listen(path string) (*Socket, error) {
	if len(path) > maxAddress {
		return nil, tooLong(len(path))
	}
	workshop, err := os.MkdirTemp(filepath.Dir(path), ".kp")
	if err != nil {
		return nil, fmt.Errorf("see that its folder is there and may be written to, or set KAMAL_PROXY_SOCKET to another path: %w", err)
	}
	defer os.RemoveAll(workshop)

	draft := filepath.Join(workshop, "s")
	if len(draft) > maxAddress {
		return nil, tooLong(len(draft))
	}
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: draft, Net: "unix"})
	if err != nil {
		return nil, err
	}
	l.SetUnlinkOnClose(false)
	file, err := place(draft, path)
	if err != nil {
		l.Close()
		return nil, err
	}
	return &Socket{UnixListener: l, path: path, file: file}, nil
}

// Adopt makes a listener that another process opened at path the caller's own:
// closing it removes the file, if it is still this one.
func Adopt(l *net.UnixListener, path string) *Socket {
	l.SetUnlinkOnClose(false)
	file, err := os.Lstat(path)
	return &Socket{UnixListener: l, path: path, file: file, kept: err != nil}
}

func tooLong(n int) error {
	return fmt.Errorf("a socket's path has at most %d bytes and this one needs %d: set KAMAL_PROXY_SOCKET to a shorter one", maxAddress, n)
}

// place gives the draft its mode and its name, and makes room for it.
func place(draft, path string) (os.FileInfo, error) {
	if err := os.Chmod(draft, 0o600); err != nil {
		return nil, err
	}
	file, err := os.Lstat(draft)
	if err != nil {
		return nil, err
	}
	for range placingTries {
		err = os.Link(draft, path)
		if errors.Is(err, syscall.EPERM) || errors.Is(err, errors.ErrUnsupported) {
			err = renameToFree(draft, path) // a file system without hard links
		}
		if !errors.Is(err, fs.ErrExist) {
			break
		}
		var placed bool
		if placed, err = replace(draft, path); placed || err != nil {
			break
		}
	}
	return file, err
}

func renameToFree(draft, path string) error {
	if _, err := os.Lstat(path); !errors.Is(err, fs.ErrNotExist) {
		return errors.Join(err, fs.ErrExist)
	}
	return os.Rename(draft, path)
}

// replace puts the draft in the place of a socket that nobody answers on, or
// makes room for it: then it has not placed it.
func replace(draft, path string) (placed bool, err error) {
	found, err := os.Lstat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return false, nil
	case err != nil:
		return false, err
	case found.Mode().Type() != fs.ModeSocket:
		return false, errors.New("there is a file that is not a socket: remove it, or set KAMAL_PROXY_SOCKET to another path")
	}
	if err := probe(path); err != nil {
		return false, err
	}
	if ofAnother(found) {
		return false, errOthers
	}
	if placed, err := trade(draft, path, found); err == nil {
		return placed, nil
	}
	return false, takeAway(path, filepath.Join(filepath.Dir(draft), "stale"), found)
}

// trade puts the draft in the place of what was found at path, and takes it back
// if that is something else by now: another daemon was faster. At no moment is
// there nothing at path, or something that nobody answers on, so that a third
// daemon sees that it is late. Its error says that this system, or this file
// system, cannot do it.
func trade(draft, path string, found os.FileInfo) (placed bool, err error) {
	if err := exchange(draft, path); err != nil {
		return false, err
	}
	if old, err := os.Lstat(draft); err != nil || os.SameFile(old, found) {
		return true, nil
	}
	return false, exchange(draft, path)
}

// takeAway moves what was found at path aside, and puts it back if it is
// something else by now. A third daemon could come in between.
func takeAway(path, aside string, found os.FileInfo) error {
	if err := os.Rename(path, aside); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if moved, err := os.Lstat(aside); err == nil && !os.SameFile(moved, found) {
		return os.Link(aside, path)
	}
	return nil
}

var errOthers = errors.New("it belongs to another user: remove it, or set KAMAL_PROXY_SOCKET to another path")

// probe fails if somebody may be listening at path.
func probe(path string) error {
	conn, err := net.DialTimeout("unix", path, probeTimeout)
	switch {
	case err == nil:
		conn.Close()
		return errors.New("another kamal-proxy is running and answers there: stop it first, or set KAMAL_PROXY_SOCKET to another path")
	case errors.Is(err, syscall.ECONNREFUSED), errors.Is(err, fs.ErrNotExist):
		return nil
	case errors.Is(err, fs.ErrPermission):
		return errOthers
	default:
		return fmt.Errorf("another process seems to have it: %w", err)
	}
}

// Socket is a listener that knows its file.
type Socket struct {
	*net.UnixListener
	path string
	file os.FileInfo
	mu   sync.Mutex
	kept bool // the file is not to be removed, or has been
}

// Path is where the file is.
func (s *Socket) Path() string { return s.path }

// SetUnlinkOnClose says whether Close removes the file. It does, unless another
// process has taken over.
func (s *Socket) SetUnlinkOnClose(unlink bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.kept = !unlink
}

// Close removes the file first: while the listener is open, no other file can
// have its number.
func (s *Socket) Close() error {
	s.unlink()
	return s.UnixListener.Close()
}

func (s *Socket) unlink() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.kept {
		return
	}
	s.kept = true
	if now, err := os.Lstat(s.path); err == nil && os.SameFile(now, s.file) {
		os.Remove(s.path)
	}
}
