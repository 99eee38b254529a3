package main

import (
	"crypto/tls"
	"errors"

	"kamal-proxy/actors/service"
	"kamal-proxy/actors/spec"
	"kamal-proxy/transport/certs"
	"kamal-proxy/transport/pages"
)

// load reads the files that options name. With an error it returns what could
// be read: a deploy is refused then, a restored service goes on without the
// rest.
func load(o spec.Options) (service.Assets, error) {
	var assets service.Assets
	var failed []error
	if o.ErrorPagePath != "" {
		own, err := pages.Load(o.ErrorPagePath)
		if err != nil {
			failed = append(failed, err)
		} else {
			assets.Pages = own
		}
	}
	if o.TLSEnabled && !o.AutomaticTLS() {
		certificate, err := certs.Load(o.TLSCertificatePath, o.TLSPrivateKeyPath)
		if err != nil {
			failed = append(failed, err)
		} else {
			assets.Certificate = certificate
		}
	}
	if o.ACMECAPath != "" {
		roots, err := certs.LoadRoots(o.ACMECAPath)
		if err != nil {
			failed = append(failed, err)
		} else {
			assets.Roots = roots
		}
	}
	return assets, errors.Join(failed...)
}

// sites tells the certificates' policy what the registry has put in force.
type sites struct{ *certs.Policy }

// Put implements registry.Sites.
func (s sites) Put(record *spec.Record, assets service.Assets) {
	certificate, _ := assets.Certificate.(*tls.Certificate)
	roots, _ := assets.Roots.(*certs.Roots)
	s.Policy.Put(record.Name, record, certificate, roots)
}
