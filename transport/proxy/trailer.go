package proxy

import (
	"strings"

	"kamal-proxy/transport/exchange"
)

// lawfulTrailer returns a trailer without what must not come there: what frames
// or routes a message, and what the proxy vouches for (RFC 9110, section 6.5.1).
func lawfulTrailer(h exchange.Header) exchange.Header {
	var kept exchange.Header
	for _, f := range h {
		if mayTrail(f.Name) {
			kept = append(kept, f)
		}
	}
	return kept
}

func mayTrail(name string) bool {
	return !hopByHop(name) && !headOnly(name) && !claims(name) && !misleads(name)
}

// announcing returns a header whose Trailer fields announce nothing that would
// not be sent: there are clients that refuse the whole message over it. It works
// in place.
func announcing(h exchange.Header) exchange.Header {
	kept := h[:0]
	for _, f := range h {
		if len(f.Name) == len("Trailer") && strings.EqualFold(f.Name, "Trailer") {
			if f.Value = lawfulNames(f.Value); f.Value == "" {
				continue
			}
		}
		kept = append(kept, f)
	}
	clear(h[len(kept):])
	return kept
}

// lawfulNames returns a list of names without those that must not trail.
func lawfulNames(list string) string {
	lawful := true
	for name := range strings.SplitSeq(list, ",") {
		lawful = lawful && mayTrail(strings.Trim(name, " \t"))
	}
	if lawful {
		return list
	}
	var kept []string
	for name := range strings.SplitSeq(list, ",") {
		if name = strings.Trim(name, " \t"); name != "" && mayTrail(name) {
			kept = append(kept, name)
		}
	}
	return strings.Join(kept, ", ")
}

func headOnly(name string) bool {
	for _, other := range [...]string{
		"Host", "Content-Length", "Content-Encoding", "Content-Type", "Content-Range", "Trailer",
		"Authorization", "Cookie", "Set-Cookie", "Forwarded", "Expect",
		fieldForwardedFor, fieldForwardedHost, fieldForwardedProto, fieldTarget, fieldRequestID, fieldRequestStart,
	} {
		if strings.EqualFold(name, other) {
			return true
		}
	}
	return false
}
