// Package trust says whom to believe: which addresses are those of proxies and
// load balancers in front of this one, that know better who the client is.
package trust

import (
	"net/netip"
	"strings"
)

// Proxies are the networks that are believed. nil names none; what that means
// is up to who asks. IPv4 networks also match the addresses that are mapped to
// IPv6.
type Proxies []netip.Prefix

// Has reports whether an address is in one of the networks.
func (ps Proxies) Has(address netip.Addr) bool {
	if address.Is4In6() {
		address = address.Unmap()
	}
	address = address.WithZone("")
	for i := range ps {
		if ps[i].Contains(address) {
			return true
		}
	}
	return false
}

// Client names the client that an X-Forwarded-For of a believed peer tells of:
// each proxy has put its own peer behind what was there, so it is the last
// address that is none of the proxies'. What is before that one can be anybody's
// invention. If all are proxies' it is the first of them, and where something
// that is no address is met, the one behind it. The result is a part of the
// value, without a port; it is empty if even the last is no address.
func (ps Proxies) Client(forwardedFor string) string {
	client := ""
	for rest, more := forwardedFor, true; more; {
		var last string
		if comma := strings.LastIndexByte(rest, ','); comma >= 0 {
			rest, last = rest[:comma], rest[comma+1:]
		} else {
			last, more = rest, false
		}
		text, address := parseHop(strings.Trim(last, " \t"))
		if !address.IsValid() {
			break
		}
		client = text
		if !ps.Has(address) {
			break
		}
	}
	return client
}

// parseHop reads one address, which some proxies write with a port, and returns
// its text without that. It is not valid if there is none.
func parseHop(hop string) (string, netip.Addr) {
	text := hop
	switch {
	case strings.HasPrefix(hop, "["):
		inside, behind, closed := strings.Cut(hop[1:], "]")
		if !closed || behind != "" && behind[0] != ':' {
			return "", netip.Addr{}
		}
		text = inside
	case strings.Count(hop, ":") == 1:
		text = hop[:strings.IndexByte(hop, ':')]
	}
	if !looksLikeAddress(text) {
		return "", netip.Addr{}
	}
	address, err := netip.ParseAddr(text)
	if err != nil {
		return "", netip.Addr{}
	}
	return text, address
}

// looksLikeAddress spares the error of netip, which costs memory, where a
// client has written something else.
func looksLikeAddress(s string) bool {
	const longest = len("ffff:ffff:ffff:ffff:ffff:ffff:255.255.255.255")
	for i := range len(s) {
		c := s[i]
		if !('0' <= c && c <= '9' || 'a' <= c && c <= 'f' || 'A' <= c && c <= 'F' || c == ':' || c == '.') {
			return false
		}
	}
	return s != "" && len(s) <= longest
}
