package certs

import (
	"context"
	"crypto/sha256"
	"crypto/tls"
	"encoding/hex"
	"errors"
	"fmt"
	"net/http"
	"path/filepath"
	"strconv"
	"sync"
	"time"

	"github.com/rs/zerolog"
	"golang.org/x/crypto/acme"
	"golang.org/x/crypto/acme/autocert"

	"kamal-proxy/actors/spec"
)

// authority is what makes issuers differ.
type authority struct {
	directory string // ACME directory URL; empty: Let's Encrypt
	folder    string
	roots     [sha256.Size]byte
}

// issuer gets certificates from one authority and keeps them in one folder. It
// lives as long as the process: what it got survives that services are
// deployed, removed and made again.
type issuer struct {
	policy    *Policy
	log       zerolog.Logger
	folder    folder
	courier   *courier
	manager   *autocert.Manager
	challenge http.Handler
	pursuits  sync.Map // key: *pursuit
}

// key is one certificate: autocert keeps one for each kind of key, as clients
// need it.
type key struct {
	host string
	rsa  bool
}

// file is the certificate's name in the folder.
func (k key) file() string {
	if k.rsa {
		return k.host + "+rsa"
	}
	return k.host
}

// sibling is the same host's other certificate.
func (k key) sibling() key { return key{host: k.host, rsa: !k.rsa} }

// issuer returns the one issuer for an authority. Only Put calls it.
func (p *Policy) issuer(o *spec.Options, roots *Roots) *issuer {
	a := authority{directory: o.ACMEDirectory, folder: o.ACMECachePath}
	if a.folder == "" {
		a.folder = p.config.DefaultCacheDir
	}
	if roots != nil {
		a.roots = roots.hash
	}
	if p.issuers[a] == nil {
		p.issuers[a] = newIssuer(p, a, roots)
	}
	return p.issuers[a]
}

func newIssuer(p *Policy, a authority, roots *Roots) *issuer {
	scope := sha256.Sum256([]byte(a.directory))
	i := &issuer{
		policy: p,
		log:    p.config.Log,
		folder: newFolder(filepath.Join(a.folder, hex.EncodeToString(scope[:])), p.config.Log),
	}
	i.courier = newCourier(i.serves, roots)
	directory := a.directory
	if directory == "" {
		directory = autocert.DefaultACMEDirectory
	}
	i.manager = &autocert.Manager{
		Prompt:     autocert.AcceptTOS,
		Cache:      i.folder,
		HostPolicy: func(_ context.Context, host string) error { return i.serves(host) },
		Client: &acme.Client{
			DirectoryURL: directory,
			HTTPClient:   &http.Client{Transport: i.courier},
			RetryBackoff: retryBackoff,
			UserAgent:    "kamal-proxy",
		},
	}
	i.challenge = i.manager.HTTPHandler(http.NotFoundHandler())
	return i
}

// serves refuses hosts that are not, or not any more, to get their certificates
// here.
func (i *issuer) serves(host string) error {
	if t := i.policy.view.terms(host); t == nil || t.issuer != i {
		return errNotOurs
	}
	return nil
}

// certificate returns a host's certificate. If there is none yet, it is got
// while the handshake waits, for a while.
func (i *issuer) certificate(hello *tls.ClientHelloInfo, t *terms, host string) (*tls.Certificate, error) {
	k := key{host: host, rsa: needsRSA(hello)}
	if u, ok := i.pursuits.Load(k); ok && u.(*pursuit).held.Load() {
		return u.(*pursuit).catch()
	}
	if err := i.policy.doorman.known(t, host); err != nil {
		return nil, err
	}
	attempt, err := i.pursuit(k).join(t)
	if err != nil {
		return nil, err
	}
	return attempt.wait(hello.Context(), i.policy.config.Wait)
}

// obtain gets a certificate from the folder, or from the authority if the host
// may have one.
func (i *issuer) obtain(t *terms, k key) (*tls.Certificate, error) {
	if !i.folder.has(k) {
		if !i.folder.has(k.sibling()) {
			if err := i.policy.doorman.admit(t, k.host); err != nil {
				return nil, err
			}
		}
		if !i.policy.startIssuing() {
			return nil, errBusy
		}
		defer func() { <-i.policy.issuing }()
	}
	certificate, err := i.manager.GetCertificate(helloFor(k))
	detail := i.courier.heard(k.host)
	if err != nil {
		return nil, &issueError{err: err, detail: detail}
	}
	return certificate, nil
}

// startIssuing takes one of the slots for certificates that are being got. It
// waits for as long as a handshake would.
func (p *Policy) startIssuing() bool {
	timer := time.NewTimer(p.config.Wait)
	defer timer.Stop()
	select {
	case p.issuing <- struct{}{}:
		return true
	case <-timer.C:
		return false
	}
}

var errBusy = errors.New("too many certificates are being got at a time, this one has to wait")

// issueError is why the authority gave no certificate.
type issueError struct {
	err    error
	detail string // what it said about each challenge
}

func (e *issueError) Error() string {
	if e.detail == "" {
		return e.err.Error()
	}
	return e.err.Error() + " (" + e.detail + ")"
}

func (e *issueError) Unwrap() error { return e.err }

// reachable is what authorities need, as part of a sentence.
const reachable = ": see that the host's DNS entry leads here, and that ports 80 and 443 can be reached from the internet"

// advice says what to do about failed challenges; other errors say it
// themselves.
func (e *issueError) advice() string {
	if e.detail == "" {
		return ""
	}
	return reachable
}

// retryBackoff is acme.Client.RetryBackoff: short hiccups are waited for, all
// else, and above all a rate limit, is left to the pursuit.
func retryBackoff(n int, _ *http.Request, response *http.Response) time.Duration {
	const longest = 10 * time.Second
	delay := time.Duration(n) * 250 * time.Millisecond
	if after := response.Header.Get("Retry-After"); after != "" {
		seconds, err := strconv.Atoi(after)
		if err != nil {
			return 0
		}
		delay = max(delay, time.Duration(seconds)*time.Second)
	}
	if n > 5 || delay > longest || response.StatusCode == http.StatusTooManyRequests {
		return 0
	}
	return delay
}

// String names the key in sentences.
func (k key) String() string {
	if k.rsa {
		return fmt.Sprintf("%s (RSA)", k.host)
	}
	return k.host
}
