package ingress

import (
	"errors"
	"fmt"
	"net"
	"strconv"
	"syscall"
)

// ListenTCP opens a port on all addresses, IPv4 and IPv6; port 0 takes a free
// one. flag is the command-line flag that chooses the port ("--http-port"); an
// error names it where another port would help.
func ListenTCP(port int, flag string) (net.Listener, error) {
	if port < 0 || port > 65535 {
		return nil, fmt.Errorf("port %d does not exist; give %s a port from 0 (any free one) to 65535", port, flag)
	}
	listener, err := net.Listen("tcp", net.JoinHostPort("", strconv.Itoa(port)))
	if err != nil {
		return nil, listenError(port, flag, err)
	}
	return listener, nil
}

// ListenUDP opens a UDP port for HTTP/3 on all addresses: that of the HTTPS
// port, so that clients find one where the other is.
func ListenUDP(port int) (*net.UDPConn, error) {
	conn, err := net.ListenUDP("udp", &net.UDPAddr{Port: port})
	switch {
	case err == nil:
		return conn, nil
	case errors.Is(err, syscall.EADDRINUSE):
		return nil, fmt.Errorf("UDP port %d, which --http3 needs beside the HTTPS port, is in use by another program; stop that "+
			"program, choose another port with --https-port, or leave out --http3: %w", port, err)
	default:
		return nil, listenError(port, "--https-port", err)
	}
}

func listenError(port int, flag string, err error) error {
	switch {
	case errors.Is(err, syscall.EADDRINUSE):
		return fmt.Errorf("port %d is in use by another program; stop that program, or choose another port with %s: %w",
			port, flag, err)
	case errors.Is(err, syscall.EACCES), errors.Is(err, syscall.EPERM):
		return fmt.Errorf("port %d may not be opened by this user; choose one from 1024 on with %s, or allow it with the "+
			"capability CAP_NET_BIND_SERVICE or sysctl net.ipv4.ip_unprivileged_port_start=%d: %w", port, flag, port, err)
	default:
		return fmt.Errorf("unable to open port %d, chosen by %s: %w", port, flag, err)
	}
}
