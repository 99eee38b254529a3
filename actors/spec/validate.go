package spec

import (
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"time"
)

var (
	// ErrWildcardTLS: no certificate can be got for a wildcard by the
	// challenges that the proxy answers.
	ErrWildcardTLS = errors.New("automatic TLS does not support wildcards")
	errNoTarget    = errors.New("no target is given: name at least one with --target")
)

// Validate says why a normalized record cannot be deployed, in one sentence
// that names the flag at fault, or returns nil. Both sides of the control
// socket call it.
func (r *Record) Validate() error {
	return firstError(
		ValidName(r.Name),
		r.Options.validate(),
		r.TargetOptions.validate(),
		ValidateTargets(r.ActiveTargets, r.ActiveReaders),
		validateRolloutTargets(r.RolloutTargets, r.RolloutReaders),
		r.PauseController.validate(),
		r.Rollout.validate(),
	)
}

// ValidateTargets says why these cannot be the targets of a slot.
func ValidateTargets(writers, readers []string) error {
	if len(writers) == 0 {
		return errNoTarget
	}
	for _, target := range slices.Concat(writers, readers) {
		if _, err := ParseTarget(target); err != nil {
			return err
		}
	}
	return nil
}

func validateRolloutTargets(writers, readers []string) error {
	if len(writers)+len(readers) == 0 {
		return nil
	}
	return ValidateTargets(writers, readers)
}

// Validate says why a switch cannot be made in this way.
func (d Deployment) Validate() error {
	return firstError(
		notNegative("deploy-timeout", d.DeployTimeout),
		notNegative("drain-timeout", d.DrainTimeout),
	)
}

func (o *Options) validate() error {
	if err := o.validateTLS(); err != nil {
		return fmt.Errorf("service options invalid: %w", err)
	}
	if o.AutomaticTLS() && slices.ContainsFunc(o.Hosts, IsWildcard) {
		return ErrWildcardTLS
	}
	if o.ClientIPHeader != "" && !isToken(o.ClientIPHeader) {
		return fmt.Errorf("client-ip-header %q is not the name of a header", o.ClientIPHeader)
	}
	if o.LoadBalancing != "" && o.LoadBalancing != Least {
		return fmt.Errorf("lb is %q: it is %s or %s", o.LoadBalancing, RoundRobin, Least)
	}
	return notNegative("writer-affinity-timeout", o.WriterAffinityTimeout)
}

func (o *Options) validateTLS() error {
	anyHost := slices.Contains(o.Hosts, AnyHost)
	onDemand := o.TLSOnDemandURL != ""
	certificate := o.TLSCertificatePath != "" || o.TLSPrivateKeyPath != ""
	switch {
	case onDemand && !o.TLSEnabled:
		return errors.New("TLS must be enabled to use a TLS on-demand URL")
	case onDemand && hasHost(o.Hosts):
		return errors.New("cannot set hosts when using a TLS on-demand URL")
	case onDemand && certificate:
		return errors.New("cannot use a custom TLS certificate with a TLS on-demand URL")
	case onDemand && o.CanonicalHost != "":
		return errors.New("cannot set a canonical host when using a TLS on-demand URL")
	case o.TLSEnabled && anyHost && !onDemand:
		return errors.New("host must be set when using TLS")
	case o.TLSEnabled && !slices.Contains(o.PathPrefixes, "/"):
		return errors.New("TLS settings must be specified on the root path service")
	case (o.TLSCertificatePath == "") != (o.TLSPrivateKeyPath == ""):
		return errors.New("tls-certificate-path and tls-private-key-path go together: give both or neither")
	case IsWildcard(o.CanonicalHost):
		return fmt.Errorf("canonical-host '%s' is a wildcard: name one host", o.CanonicalHost)
	case o.CanonicalHost != "" && hasHost(o.Hosts) && !slices.Contains(o.Hosts, o.CanonicalHost):
		return fmt.Errorf("canonical-host '%s' must be present in the hosts list: %v", o.CanonicalHost, o.Hosts)
	}
	return validateOnDemandURL(o.TLSOnDemandURL)
}

// AutomaticTLS reports whether the service's certificates are got by ACME.
func (o *Options) AutomaticTLS() bool {
	return o.TLSEnabled && o.TLSCertificatePath == "" && o.TLSPrivateKeyPath == ""
}

func hasHost(hosts []string) bool {
	return slices.ContainsFunc(hosts, func(h string) bool { return h != AnyHost })
}

func validateOnDemandURL(given string) error {
	if given == "" {
		return nil
	}
	u, err := url.Parse(given)
	var wrong *url.Error
	switch {
	case errors.As(err, &wrong): // without the URL, which may have a password
		return fmt.Errorf("unable to parse tls-on-demand-url: %w", wrong.Err)
	case u.Scheme == "" && u.Host == "" && strings.HasPrefix(given, "/"):
		return nil
	case u.Scheme == "":
		return errors.New("tls-on-demand-url must be a path or an absolute http(s) URL")
	case u.Scheme != "http" && u.Scheme != "https":
		return fmt.Errorf("unsupported scheme %q in tls-on-demand-url", u.Scheme)
	case u.Hostname() == "":
		return errors.New("missing host in tls-on-demand-url")
	}
	return nil
}

func (t *TargetOptions) validate() error {
	return firstError(
		t.HealthCheck.validate(),
		notNegative("target-timeout", t.ResponseTimeout),
		notNegative("buffer-memory", t.MaxMemoryBufferSize),
		notNegative("max-request-body", t.MaxRequestBodySize),
		notNegative("max-response-body", t.MaxResponseBodySize),
		validateHeaderNames("log-request-header", t.LogRequestHeaders),
		validateHeaderNames("log-response-header", t.LogResponseHeaders),
	)
}

func (h *HealthCheck) validate() error {
	switch {
	case !printable(h.Path):
		return fmt.Errorf("health-check-path %q has characters that a path cannot have", h.Path)
	case h.Port < 0 || h.Port > 65535:
		return fmt.Errorf("health-check-port is %d: it goes from 1 to 65535, and 0 is the target's own", h.Port)
	case !printable(h.Host) || strings.ContainsAny(h.Host, " /"):
		return fmt.Errorf("health-check-host %q is not a host", h.Host)
	}
	return firstError(
		positive("health-check-interval", h.Interval),
		positive("health-check-timeout", h.Timeout),
	)
}

func (g *Gate) validate() error {
	if g.State < Running || g.State > Stopped {
		return fmt.Errorf("state is %d: it is 0, 1 or 2", int(g.State))
	}
	return notNegative("max-pause", g.FailAfter)
}

func (r *Rollout) validate() error {
	if r == nil {
		return nil
	}
	return checkPercentage(r.Percentage)
}

// validateHeaderNames passes names that no header can have, as long as they
// can be printed: they are never found in a message, and Kamal sends such.
func validateHeaderNames(flag string, names []string) error {
	for _, name := range names {
		if !printable(name) {
			return fmt.Errorf("%s %q has characters that the name of a header cannot have", flag, name)
		}
	}
	return nil
}

// isToken reports whether s is a token of RFC 9110, 5.6.2.
func isToken(s string) bool {
	for i := 0; i < len(s); i++ {
		if !isLetterOrDigit(s[i]) && strings.IndexByte("!#$%&'*+-.^_`|~", s[i]) < 0 {
			return false
		}
	}
	return s != ""
}

func positive(flag string, d time.Duration) error {
	if d <= 0 {
		return fmt.Errorf("%s is %v: it must be more than 0", flag, d)
	}
	return nil
}

func notNegative[N ~int64](flag string, n N) error {
	if n < 0 {
		return fmt.Errorf("%s is %v: it must not be negative", flag, n)
	}
	return nil
}

func firstError(errs ...error) error {
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}
