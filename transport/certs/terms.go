package certs

import (
	"crypto/tls"
	"slices"
	"time"

	"kamal-proxy/actors/spec"
)

// terms are what a record says about TLS. They are never changed once they
// are published.
type terms struct {
	service string
	born    time.Time
	root    bool // it is at the root of its hosts
	tls     bool

	certificate *tls.Certificate // its own; nil with an issuer: automatic
	issuer      *issuer          // nil: not automatic
	onDemand    string           // the URL or path that is asked; empty: all its hosts may have a certificate
	stopped     bool
}

// newTerms reads what needs no look elsewhere. TLS is a matter of the service
// at the root.
func newTerms(service string, o *spec.Options) *terms {
	root := slices.Contains(o.PathPrefixes, "/")
	return &terms{service: service, born: time.Now(), root: root, tls: root && o.TLSEnabled}
}
