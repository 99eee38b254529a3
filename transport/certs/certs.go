// Package certs says which certificate a TLS handshake gets, and answers the
// challenges of certificate authorities. One Policy serves HTTPS over TCP and
// HTTP/3.
//
//	registry --Put, Remove--> view <--reads-- handshake, challenge
//	                           |
//	                           v
//	                         terms: a certificate of the service's own, or an
//	                         issuer --> folder (certificates on disk)
//	                                --> doorman (may this host have one?)
//	                                --> courier --> certificate authority
//
// A handshake asks no actor and waits for nothing but, once, the certificate
// that is being got for it.
package certs

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"time"

	"github.com/rs/zerolog"
	"golang.org/x/crypto/acme"

	"kamal-proxy/actors/spec"
)

// AskApp asks a service's own app whether a host may have a certificate: GET
// target (origin-form, host= is in its query) with the Host header host. ctx
// ends after 2 s. An error counts as no.
type AskApp func(ctx context.Context, service, host, target string) (status int, body []byte, err error)

// Config is what a Policy is made of. Zero limits take the default.
type Config struct {
	Log zerolog.Logger

	// DefaultCacheDir has the certificates of services that name no folder.
	DefaultCacheDir string
	// AskApp answers an on-demand path; nil: every host is denied.
	AskApp AskApp

	// Wait is how long a handshake waits for a certificate that is being
	// got; 0: 10 s. Getting it goes on without the handshake.
	Wait time.Duration
	// AskTimeout is how long an on-demand question may take; 0: 2 s.
	AskTimeout time.Duration
	// MaxAsks is how many on-demand questions are under way at a time; 0: 16.
	MaxAsks int
	// MaxIssues is how many certificates are being got at a time; 0: 8.
	MaxIssues int
}

const (
	defaultWait       = 10 * time.Second
	defaultAskTimeout = 2 * time.Second
	defaultMaxAsks    = 16
	defaultMaxIssues  = 8
)

// Policy gives certificates to handshakes. Its methods may be called by many
// goroutines at once, but for Put and Remove, which are the registry's.
type Policy struct {
	config  Config
	view    *view
	doorman *doorman
	issuing chan struct{}         // a slot for each certificate that is being got
	issuers map[authority]*issuer // Put's own
}

// New makes a Policy that knows no service.
func New(config Config) *Policy {
	setDefault(&config.Wait, defaultWait)
	setDefault(&config.AskTimeout, defaultAskTimeout)
	setDefault(&config.MaxAsks, defaultMaxAsks)
	setDefault(&config.MaxIssues, defaultMaxIssues)
	return &Policy{
		config:  config,
		view:    newView(),
		doorman: newDoorman(config),
		issuing: make(chan struct{}, config.MaxIssues),
		issuers: map[authority]*issuer{},
	}
}

func setDefault[N ~int | ~int64](value *N, instead N) {
	if *value <= 0 {
		*value = instead
	}
}

// Put makes a committed record true for the handshakes that come. certificate
// is what Load gave for its paths, nil if it has none or could not be loaded;
// roots is what LoadRoots gave, or nil. It does not wait, and costs no more
// than what has changed. A record without TLS belongs here, too: its hosts are
// not free for on-demand certificates.
func (p *Policy) Put(service string, record *spec.Record, certificate *tls.Certificate, roots *Roots) {
	t := newTerms(service, &record.Options)
	hosts := record.Options.Hosts
	if len(hosts) == 0 {
		hosts = []string{spec.AnyHost}
	}
	switch {
	case !t.tls:
	case record.Options.AutomaticTLS():
		t.issuer = p.issuer(&record.Options, roots)
		t.onDemand = record.Options.TLSOnDemandURL
		t.stopped = record.PauseController.State == spec.Stopped
	default:
		t.certificate = certificate
	}
	p.view.put(service, hosts, t)
}

// Remove forgets a service. What was got for its hosts stays on disk.
func (p *Policy) Remove(service string) { p.view.remove(service) }

// TLSConfig is for HTTPS over TCP; HTTP/3 adds its own protocol to a clone.
func (p *Policy) TLSConfig() *tls.Config {
	return &tls.Config{
		MinVersion:     tls.VersionTLS12,
		NextProtos:     []string{"h2", "http/1.1", acme.ALPNProto},
		GetCertificate: p.GetCertificate,
	}
}

var (
	errNoService = errors.New("no service has TLS and a host, so there is no certificate for a client that names none")
	errNotOurs   = errors.New("this host is not served with a certificate that is got automatically")
)

// GetCertificate is tls.Config.GetCertificate. An error fails the handshake;
// nothing is logged about it here, since anybody can cause it.
func (p *Policy) GetCertificate(hello *tls.ClientHelloInfo) (*tls.Certificate, error) {
	host, t, err := p.find(hello.ServerName)
	switch {
	case err != nil:
		return nil, err
	case isChallenge(hello):
		return t.challengeCertificate(hello, host)
	case t.issuer != nil:
		return t.issuer.certificate(hello, t, host)
	case t.certificate == nil:
		return nil, fmt.Errorf("the certificate of service %s could not be loaded", t.service)
	}
	return t.certificate, nil
}

// find returns the host that a client means and the terms of its service.
func (p *Policy) find(serverName string) (string, *terms, error) {
	if serverName == "" {
		if host, t := p.view.first(); t != nil {
			return host, t, nil
		}
		return "", nil, errNoService
	}
	host, err := spec.NormalizeHost(serverName)
	if err != nil {
		return "", nil, err
	}
	if host == spec.AnyHost || spec.IsWildcard(host) {
		return "", nil, fmt.Errorf("%q is not the name of a host", serverName)
	}
	if t := p.view.terms(host); t != nil {
		return host, t, nil
	}
	return "", nil, fmt.Errorf("no service has a certificate for %s", host)
}
