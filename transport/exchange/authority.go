package exchange

import (
	"net/netip"
	"strings"
)

// hostChars are those of a host's name (RFC 3986, section 3.2.2).
var hostChars = func() (set [256]bool) {
	for _, c := range []byte("0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ" + "-._~" + "!$&'()*+,;=" + "%") {
		set[c] = true
	}
	return set
}()

// IsAuthority tells a host with an optional port and no user (RFC 3986, section
// 3.2), or nothing at all. Two parties that read anything else would take it for
// two hosts.
func IsAuthority(s string) bool {
	for i := range len(s) {
		if !hostChars[s[i]] {
			return endsAsAuthority(s, i)
		}
	}
	return true
}

// endsAsAuthority is IsAuthority for what is no more a name at i: there may be a
// port, or at the start an IP address in brackets.
func endsAsAuthority(s string, i int) bool {
	port := s[i:]
	switch {
	case i > 0:
	case s[0] != '[':
		return false
	default:
		end := strings.IndexByte(s, ']')
		if end < 0 || !isAddress(s[1:end]) {
			return false
		}
		if port = s[end+1:]; port == "" {
			return true
		}
	}
	return port[0] == ':' && isPort(port[1:])
}

// isAddress tells an IPv6 address, with the zone that some clients leave there.
func isAddress(s string) bool {
	address, err := netip.ParseAddr(s)
	return err == nil && address.Is6() && IsAuthority(address.Zone())
}

// isPort tells a port; it may be empty (RFC 3986, section 3.2.3).
func isPort(s string) bool {
	n := 0
	for i := range len(s) {
		if s[i] < '0' || s[i] > '9' || i == 5 {
			return false
		}
		n = 10*n + int(s[i]-'0')
	}
	return n <= 65535
}
