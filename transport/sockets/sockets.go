// Package sockets is about listening sockets that outlive a process: those that
// this one was given when it started, by systemd's socket activation or by a
// parent of ours, and the passing on of its own to a child.
//
// A socket has one name in all processes (HTTP, HTTPS, ...). The kernel keeps
// one queue and one set of flags for it, whoever holds it: nothing here ever
// makes one blocking, and a unix socket's file is removed by one process at most.
package sockets

import (
	"fmt"
	"net"
	"slices"
	"sync"
)

// The names of sockets.
const (
	HTTP    = "http"
	HTTPS   = "https"
	HTTP3   = "http3" // UDP
	Metrics = "metrics"
	Control = "control" // a unix socket
)

var kinds = map[string]string{
	HTTP: "a TCP listener", HTTPS: "a TCP listener", Metrics: "a TCP listener",
	HTTP3: "a UDP socket", Control: "a listening unix socket",
}

// Set is the sockets that a process was given. The zero value is none.
type Set struct {
	mu    sync.Mutex
	given map[string]any // *net.TCPListener, *net.UDPConn or *net.UnixListener
	file  string
}

// TCP takes the listener of that name out of the set; nil: it was not given.
func (s *Set) TCP(name string) (net.Listener, error) {
	l, err := take[*net.TCPListener](s, name)
	if l == nil {
		return nil, err
	}
	return l, nil
}

// UDP takes the socket of that name out of the set; nil: it was not given.
func (s *Set) UDP(name string) (*net.UDPConn, error) {
	return take[*net.UDPConn](s, name)
}

// Unix takes the listener of that name out of the set; nil: it was not given.
// Closing it does not remove its file.
func (s *Set) Unix(name string) (*net.UnixListener, error) {
	return take[*net.UnixListener](s, name)
}

// ControlFile is the control socket's file, if whoever takes that socket is
// also to remove the file in the end; "": the file is somebody else's.
func (s *Set) ControlFile() string { return s.file }

// Close closes what was not taken, and returns its names.
func (s *Set) Close() (left []string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for name, socket := range s.given {
		socket.(interface{ Close() error }).Close()
		left = append(left, name)
	}
	clear(s.given)
	slices.Sort(left)
	return left
}

func take[T comparable](s *Set, name string) (none T, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	given, known := s.given[name]
	if !known {
		return none, nil
	}
	socket, ok := given.(T)
	if !ok {
		return none, fmt.Errorf("the socket given as %q is %s: it has to be %s", name, describe(given), kinds[name])
	}
	delete(s.given, name)
	return socket, nil
}

func (s *Set) add(name string, socket any) error {
	if _, twice := s.given[name]; twice {
		return fmt.Errorf("two sockets were given for %s: give one, a socket for [::] takes IPv4, too", name)
	}
	if s.given == nil {
		s.given = map[string]any{}
	}
	s.given[name] = socket
	return nil
}

func describe(socket any) string {
	switch s := socket.(type) {
	case *net.TCPListener:
		return fmt.Sprintf("a TCP listener on %s", s.Addr())
	case *net.UDPConn:
		return fmt.Sprintf("a UDP socket on %s", s.LocalAddr())
	case *net.UnixListener:
		return fmt.Sprintf("a unix socket at %s", s.Addr())
	}
	return "of an unknown kind"
}
