package sockets

import (
	"errors"
	"fmt"
	"net"
	"os"
	"slices"
	"strconv"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

const (
	variable     = "KAMAL_PROXY_SOCKETS"      // name=fd,...: a parent of ours
	fileVariable = "KAMAL_PROXY_SOCKETS_FILE" // see Open.ControlFile
	firstFD      = 3
	mostFDs      = 64
)

var systemdVariables = []string{"LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES"}

// Ports are those that the command line asks for; they tell sockets of systemd
// apart that have no name of ours. 0: any for HTTP and HTTPS, none for metrics.
type Ports struct{ HTTP, HTTPS, Metrics int }

// Inherit returns the sockets that this process was given. To be called once,
// early: it takes what says so out of the environment, so that no child
// believes it too.
func Inherit(ports Ports) (*Set, error) {
	handed, file := os.Getenv(variable), os.Getenv(fileVariable)
	pid, fds, names := os.Getenv("LISTEN_PID"), os.Getenv("LISTEN_FDS"), os.Getenv("LISTEN_FDNAMES")
	for _, name := range append([]string{variable, fileVariable}, systemdVariables...) {
		os.Unsetenv(name)
	}
	s := &Set{}
	var err error
	switch {
	case handed != "":
		s.file = file
		err = s.fromParent(handed)
	case fds != "" && pid == strconv.Itoa(os.Getpid()):
		err = s.fromSystemd(fds, names, ports)
	}
	if err != nil {
		s.Close()
		return nil, err
	}
	return s, nil
}

func (s *Set) fromParent(handed string) error {
	for entry := range strings.SplitSeq(handed, ",") {
		name, number, _ := strings.Cut(entry, "=")
		fd, err := strconv.Atoi(number)
		if err != nil || fd < firstFD || kinds[name] == "" {
			return fmt.Errorf("%s has the entry %q, which is not the name of a socket and its descriptor: it is set by kamal-proxy itself, so unset it", variable, entry)
		}
		socket, err := adopt(fd)
		if err != nil {
			return fmt.Errorf("the socket %s, descriptor %d of %s, cannot be used: %w", name, fd, variable, err)
		}
		if err := s.add(name, socket); err != nil {
			return err
		}
	}
	return nil
}

// fromSystemd goes by the names that the socket units give, and where these are
// not ours, by kind and port. What is left in the end takes, in its order, the
// places where any port will do.
func (s *Set) fromSystemd(fds, fdNames string, ports Ports) error {
	n, err := strconv.Atoi(fds)
	if err != nil || n < 0 || n > mostFDs {
		return fmt.Errorf("LISTEN_FDS is %q: it has to be a number from 0 to %d", fds, mostFDs)
	}
	names := strings.Split(fdNames, ":")
	var left []any
	for i := range n {
		socket, err := adopt(firstFD + i)
		if err != nil {
			return fmt.Errorf("socket %d of the %d that systemd gave cannot be used: %w", i+1, n, err)
		}
		name := ports.match(socket)
		if i < len(names) && kinds[names[i]] != "" {
			name = names[i]
		}
		if name == "" {
			left = append(left, socket)
		} else if err := s.add(name, socket); err != nil {
			return err
		}
	}
	for _, socket := range left {
		if !s.addAny(socket, ports) {
			return fmt.Errorf("systemd gave %s, which is for none of --http-port %d, --https-port %d and --metrics-port %d: "+
				"make the ports the same, or name it with FileDescriptorName=http (or https, http3, metrics, control) in its socket unit",
				describe(socket), ports.HTTP, ports.HTTPS, ports.Metrics)
		}
	}
	return nil
}

// addAny adds a listener that no port asks for where any will do, and reports
// whether there was such a place.
func (s *Set) addAny(socket any, ports Ports) bool {
	if _, ok := socket.(*net.TCPListener); !ok {
		return false
	}
	return ports.HTTP == 0 && s.add(HTTP, socket) == nil || ports.HTTPS == 0 && s.add(HTTPS, socket) == nil
}

func (p Ports) match(socket any) string {
	switch s := socket.(type) {
	case *net.TCPListener:
		switch port := s.Addr().(*net.TCPAddr).Port; port {
		case p.HTTP:
			return HTTP
		case p.HTTPS:
			return HTTPS
		case p.Metrics:
			return Metrics
		}
	case *net.UDPConn:
		if s.LocalAddr().(*net.UDPAddr).Port == p.HTTPS {
			return HTTP3
		}
	case *net.UnixListener:
		return Control
	}
	return ""
}

// adopt makes a descriptor ours: it closes it, and returns what listens on a
// copy that no child of this process gets.
func adopt(fd int) (any, error) {
	kind, err := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_TYPE)
	if err != nil {
		return nil, errors.New("it is not an open socket")
	}
	syscall.CloseOnExec(fd)
	file := os.NewFile(uintptr(fd), "")
	if kind == unix.SOCK_DGRAM {
		return adoptDatagram(file)
	}
	defer file.Close()
	if listens, err := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_ACCEPTCONN); err != nil || listens == 0 {
		return nil, errors.New("it does not listen")
	}
	l, err := net.FileListener(file)
	if err != nil {
		return nil, err
	}
	if !slices.Contains([]string{"tcp", "unix"}, l.Addr().Network()) {
		l.Close()
		return nil, fmt.Errorf("it is of the kind %s", l.Addr().Network())
	}
	return l, nil
}

func adoptDatagram(file *os.File) (any, error) {
	defer file.Close()
	conn, err := net.FilePacketConn(file)
	if err != nil {
		return nil, err
	}
	if udp, ok := conn.(*net.UDPConn); ok {
		return udp, nil
	}
	conn.Close()
	return nil, fmt.Errorf("it is of the kind %s", conn.LocalAddr().Network())
}
