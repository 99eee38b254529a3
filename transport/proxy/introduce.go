package proxy

import (
	"strings"

	"kamal-proxy/transport/exchange"
)

const (
	fieldForwardedFor   = "X-Forwarded-For"
	fieldForwardedHost  = "X-Forwarded-Host"
	fieldForwardedProto = "X-Forwarded-Proto"
	fieldTarget         = "X-Kamal-Target"
)

// introduce tells the target who asks, for what, and by which way. With
// forward-headers it believes what is before us, if that is trusted, and adds to
// it; else what a client says of itself is replaced.
func (v *visit) introduce() {
	r := v.request
	h := &r.Header
	trusting := v.policy.TargetOptions.ForwardHeaders && v.believed()

	v.disclaim()
	h.Set(fieldForwardedFor, appended(v.forwardedFor(trusting), v.entry.ClientAddr))
	if !trusting {
		h.Del("Forwarded")
	}
	if !trusting || h.Get(fieldForwardedHost) == "" {
		h.Set(fieldForwardedHost, r.Authority)
	}
	if !trusting || h.Get(fieldForwardedProto) == "" {
		h.Set(fieldForwardedProto, r.Scheme)
	}
	target := v.verdict.TargetName
	if trusting {
		target = appended(joined(*h, fieldTarget, ", "), target)
	}
	h.Set(fieldTarget, target)
}

// forwardedFor returns the addresses that the request is said to come from.
func (v *visit) forwardedFor(trusting bool) string {
	if !trusting {
		return ""
	}
	if client := v.namedClient(); client != "" {
		return client
	}
	return joined(v.request.Header, fieldForwardedFor, ", ")
}

// namedClient returns what the service's client IP header says, if it has one
// and whoever sent it is believed.
func (v *visit) namedClient() string {
	if name := v.policy.Options.ClientIPHeader; name != "" && v.believed() {
		return v.request.Header.Get(name)
	}
	return ""
}

func appended(list, last string) string {
	if list == "" {
		return last
	}
	return list + ", " + last
}

// joined returns all values of a field in one. It allocates only where there
// are several.
func joined(h exchange.Header, name, separator string) string {
	first, found := "", false
	for i := range h {
		if !strings.EqualFold(h[i].Name, name) {
			continue
		}
		if found {
			return strings.Join(h.Values(name), separator)
		}
		first, found = h[i].Value, true
	}
	return first
}
