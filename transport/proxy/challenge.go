package proxy

import (
	"net/http"
	"strings"

	"kamal-proxy/transport/exchange"
)

// Paths that begin so may be a certificate authority's questions (RFC 8555,
// section 8.3).
const challengePrefix = "/.well-known/acme-challenge/"

// challenged answers a certificate authority, which asks over plain http, and
// reports whether it did. Where nobody has asked for a certificate the path is
// the app's.
func (v *visit) challenged() bool {
	r, answer := v.request, v.proxy.config.Challenge
	if !strings.HasPrefix(r.Path, challengePrefix) || answer == nil || r.Scheme != "http" {
		return false
	}
	body, status, ours := answer(r.Authority, r.Path)
	switch {
	case !ours:
		return false
	case status == http.StatusOK:
		v.reply(status, exchange.Header{{Name: "Content-Type", Value: "text/plain"}}, body)
	default:
		v.page(status, "", 0)
	}
	return true
}
