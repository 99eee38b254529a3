package spec

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strconv"
	"strings"
)

const defaultTargetPort = 80

// ParseTarget returns the address to dial for a target as it was given: host
// or host:port, where the port is 80 when it is left out. Hosts are names, in
// which all digits are fine, IPv4 addresses, or IPv6 addresses in brackets.
func ParseTarget(target string) (string, error) {
	host, port, err := splitTarget(target)
	if err != nil {
		return "", fmt.Errorf("%s :invalid host pattern: a target is host or host:port, such as web-1:3000", target)
	}
	return net.JoinHostPort(host, strconv.Itoa(port)), nil
}

var errTarget = errors.New("invalid target")

func splitTarget(target string) (host string, port int, err error) {
	host, rest := target, ""
	if end := strings.IndexByte(target, ']'); end > 0 && target[0] == '[' {
		host, rest = target[1:end], target[end+1:]
		if address, err := netip.ParseAddr(host); err != nil || !address.Is6() {
			return "", 0, errTarget
		}
	} else {
		if i := strings.IndexByte(target, ':'); i >= 0 {
			host, rest = target[:i], target[i:]
		}
		if !targetName(host) {
			return "", 0, errTarget
		}
	}
	port, err = targetPort(rest)
	return host, port, err
}

// targetPort reads the part that follows a host: nothing, or a colon and a port.
func targetPort(rest string) (int, error) {
	if rest == "" {
		return defaultTargetPort, nil
	}
	port, err := strconv.ParseUint(rest[1:], 10, 16)
	if rest[0] != ':' || err != nil || port == 0 {
		return 0, errTarget
	}
	return int(port), nil
}

func targetName(host string) bool {
	named := false
	for i := 0; i < len(host); i++ {
		switch c := host[i]; {
		case isLetterOrDigit(c):
			named = true
		case c == '_':
		case i > 0 && (c == '-' || c == '.' || c == '+'):
		default:
			return false
		}
	}
	return named && len(host) <= maxHost
}

func isLetterOrDigit(c byte) bool {
	return c >= '0' && c <= '9' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z'
}
