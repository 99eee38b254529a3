package proxy

import (
	"net/http"
	"strings"

	"kamal-proxy/transport/exchange"
)

// scrub leaves only end-to-end fields in the request's header (RFC 9110,
// section 7.6.1). It comes before anything is added, so that a client's
// Connection field cannot take away what the proxy says.
func (v *visit) scrub() {
	r := v.request
	trailers := r.Header.HasToken("TE", "trailers")
	r.Header = unmistakable(endToEnd(r.Header, r.ContentLength < 0))
	if r.Proto == "HTTP/1.0" { // which knows no expectations (RFC 9110, section 10.1.1)
		r.Header.Del("Expect")
	}
	r.Upgrade = welcomeUpgrade(r)

	if trailers {
		r.Header.Add("TE", "trailers")
	}
	if trailer := r.Trailer; trailer != nil && r.ContentLength < 0 {
		r.Trailer = func() exchange.Header { return unmistakable(lawfulTrailer(trailer())) }
	}
}

// refused answers what no target is ever asked. A tunnel to anywhere is not
// what a reverse proxy offers: 501 says that of the method as a whole, whereas
// 405 would have to name the methods that the app allows.
func (v *visit) refused() bool {
	if v.request.Method != http.MethodConnect {
		return false
	}
	v.page(http.StatusNotImplemented, "", 0)
	return true
}

// welcomeUpgrade returns the protocols of the request's Upgrade field that may
// be switched to, without those that carry further requests past the proxy.
func welcomeUpgrade(r *exchange.Request) string {
	if r.Upgrade == "" || r.Proto != "HTTP/1.1" {
		return ""
	}
	welcome := r.Upgrade
	if strings.ContainsRune(welcome, ',') || smuggles(welcome) {
		var kept []string
		for protocol := range strings.SplitSeq(r.Upgrade, ",") {
			if protocol = strings.Trim(protocol, " \t"); protocol != "" && !smuggles(protocol) {
				kept = append(kept, protocol)
			}
		}
		welcome = strings.Join(kept, ", ")
	}
	return welcome
}

func smuggles(protocol string) bool {
	name, _, _ := strings.Cut(protocol, "/")
	return strings.EqualFold(name, "h2c") || strings.EqualFold(name, "h2") ||
		strings.EqualFold(name, "HTTP") || strings.EqualFold(name, "TLS")
}

// endToEnd takes the fields of one connection out of h, in place: those of the
// protocol, and those that Connection names. Trailer stays where there may be
// some. Content-Length always stays: it is the body's, and no Connection field
// can make the next hop misread it.
func endToEnd(h exchange.Header, trailers bool) exchange.Header {
	named := make(exchange.Header, 0, 4)
	for i := range h {
		if strings.EqualFold(h[i].Name, "Connection") {
			named = append(named, h[i])
		}
	}
	kept := h[:0]
	for _, f := range h {
		switch {
		case hopByHop(f.Name):
		case !trailers && strings.EqualFold(f.Name, "Trailer"):
		case len(named) > 0 && named.HasToken("Connection", f.Name) && !strings.EqualFold(f.Name, "Content-Length"):
		default:
			kept = append(kept, f)
		}
	}
	clear(h[len(kept):])
	if trailers {
		return announcing(kept)
	}
	return kept
}

// unmistakable returns a request's fields without those that mislead apps.
func unmistakable(h exchange.Header) exchange.Header {
	for i := range h {
		if misleads(h[i].Name) {
			return without(h, misleads)
		}
	}
	return h
}

func hopByHop(name string) bool {
	switch len(name) {
	case len("TE"):
		return strings.EqualFold(name, "TE")
	case len("Upgrade"):
		return strings.EqualFold(name, "Upgrade")
	case len("Connection"): // and Keep-Alive
		return strings.EqualFold(name, "Connection") || strings.EqualFold(name, "Keep-Alive")
	case len("HTTP2-Settings"):
		return strings.EqualFold(name, "HTTP2-Settings")
	case len("Proxy-Connection"):
		return strings.EqualFold(name, "Proxy-Connection")
	case len("Transfer-Encoding"):
		return strings.EqualFold(name, "Transfer-Encoding")
	case len("Proxy-Authenticate"):
		return strings.EqualFold(name, "Proxy-Authenticate")
	case len("Proxy-Authorization"):
		return strings.EqualFold(name, "Proxy-Authorization")
	case len("Proxy-Authentication-Info"):
		return strings.EqualFold(name, "Proxy-Authentication-Info")
	}
	return false
}
