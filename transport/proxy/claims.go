package proxy

import (
	"strings"

	"kamal-proxy/transport/exchange"
)

// believed reports whether the request's sender is believed in what it says of
// the client behind it: all are where no trusted proxies are named.
func (v *visit) believed() bool { return v.proxy.config.Trusted == nil || !v.stranger }

// remote is who the log says the request comes from. Where trusted proxies are
// named that is one address: the last that none of them has.
func (v *visit) remote() string {
	trusted := v.proxy.config.Trusted
	v.stranger = trusted != nil && !trusted.Has(v.request.Client.Addr())
	client := ""
	if !v.stranger {
		client = joined(v.request.Header, fieldForwardedFor, ", ")
	}
	if trusted != nil {
		client = trusted.Client(client)
	}
	if client == "" {
		return v.entry.ClientAddr
	}
	return client
}

// disclaim takes away what a sender that is not believed says of itself, as do
// names that an app could take for that of the client IP header.
func (v *visit) disclaim() {
	client := v.policy.Options.ClientIPHeader
	h := &v.request.Header
	switch {
	case !v.believed():
		*h = without(*h, func(name string) bool { return claims(name) || client != "" && isTwin(name, client) })
	case client != "":
		*h = without(*h, func(name string) bool { return isTwin(name, client) && !strings.EqualFold(name, client) })
	}
}

// without takes fields out of h, in place.
func without(h exchange.Header, unwanted func(name string) bool) exchange.Header {
	kept := h[:0]
	for _, f := range h {
		if !unwanted(f.Name) {
			kept = append(kept, f)
		}
	}
	clear(h[len(kept):])
	return kept
}

const forwardedPrefix = "X-Forwarded-"

// claims tells the fields in which proxies name the client, and the way that it
// has come.
func claims(name string) bool {
	if len(name) >= len(forwardedPrefix) && isTwin(name[:len(forwardedPrefix)], forwardedPrefix) {
		return true
	}
	for _, other := range [...]string{"Forwarded", "X-Real-IP", "Client-IP", "X-Client-IP", "True-Client-IP", "X-Cluster-Client-IP"} {
		if isTwin(name, other) {
			return true
		}
	}
	return false
}

// misleads tells the fields of a request that an app may take for something
// else. CGI, and what is like it (Rack, WSGI, PHP), has _ for - in names, so
// that X_Forwarded_For would stand beside, or instead of, the proxy's own
// X-Forwarded-For, and Transfer_Encoding be believed though it frames nothing. A
// field called Proxy becomes the variable HTTP_PROXY there, by which programs are
// told where to send their own requests (httpoxy).
func misleads(name string) bool {
	if strings.IndexByte(name, '_') < 0 {
		return len(name) == len("Proxy") && strings.EqualFold(name, "Proxy")
	}
	if claims(name) {
		return true
	}
	for _, other := range [...]string{
		fieldRequestID, fieldRequestStart, fieldTarget,
		"Content-Length", "Transfer-Encoding", "Keep-Alive", "Proxy-Connection", "Proxy-Authorization", "HTTP2-Settings",
	} {
		if isTwin(name, other) {
			return true
		}
	}
	return false
}

// isTwin reports whether two names are the same to an app that sees no
// difference between _ and -, nor between upper and lower case.
func isTwin(name, other string) bool {
	if len(name) != len(other) {
		return false
	}
	for i := range len(name) {
		if twinByte(name[i]) != twinByte(other[i]) {
			return false
		}
	}
	return true
}

func twinByte(c byte) byte {
	switch {
	case c == '_':
		return '-'
	case 'A' <= c && c <= 'Z':
		return c + ('a' - 'A')
	}
	return c
}
