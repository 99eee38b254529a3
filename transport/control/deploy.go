package control

import (
	"cmp"
	"errors"
	"fmt"
	"net/url"
	"path/filepath"

	"kamal-proxy/actors/registry"
	"kamal-proxy/actors/service"
	"kamal-proxy/actors/spec"
)

// stagingDirectory is where Let's Encrypt issues certificates for trials.
const stagingDirectory = "https://acme-staging-v02.api.letsencrypt.org/directory"

// Validate says what is wrong, in a sentence that names the flag at fault. It
// looks at nothing but the struct.
func (d Deploy) Validate() error {
	_, err := d.record()
	return err
}

// Foreign says why basecamp/kamal-proxy would not find the service in a state
// file, so that it is kept in one of our own, or returns nil.
func (d Deploy) Foreign() error {
	r, err := d.record()
	if err != nil {
		return err
	}
	return spec.UpstreamLoads(r)
}

// record is the service as this deploy asks for it, in its normal form.
func (d Deploy) record() (*spec.Record, error) {
	if err := cmp.Or(d.checkLimits(), d.checkAuthority()); err != nil {
		return nil, err
	}
	r := &spec.Record{
		Name:          d.Service,
		Options:       d.options(),
		TargetOptions: d.targetOptions(),
		ActiveTargets: d.Targets,
		ActiveReaders: d.ReadTargets,
	}
	if err := r.Normalize(); err != nil {
		return nil, err
	}
	if err := cmp.Or(d.checkPaths(), d.how().Validate()); err != nil {
		return nil, err
	}
	return r, r.Validate()
}

func (d Deploy) checkLimits() error {
	switch {
	case d.MaxRequestBody != nil && d.BufferRequests == nil:
		return errors.New("max-request-body can only be set when request buffering is enabled")
	case d.MaxResponseBody != nil && d.BufferResponses == nil:
		return errors.New("max-response-body can only be set when response buffering is enabled")
	}
	return nil
}

// checkAuthority refuses certificate authorities that cannot be asked.
func (d Deploy) checkAuthority() error {
	if d.TLSACMEDirectory == "" {
		return nil
	}
	if d.TLSStaging {
		return errors.New("tls-staging and tls-acme-directory name two certificate authorities: give one of them")
	}
	if u, err := url.Parse(d.TLSACMEDirectory); err != nil || u.Scheme != "https" || u.Host == "" {
		return fmt.Errorf("tls-acme-directory %q is not the https URL of an ACME directory", d.TLSACMEDirectory)
	}
	return nil
}

// checkPaths refuses paths that mean another file to the daemon than to its
// caller.
func (d Deploy) checkPaths() error {
	return cmp.Or(
		absolute("tls-certificate-path", d.TLSCertificatePath),
		absolute("tls-private-key-path", d.TLSPrivateKeyPath),
		absolute("tls-acme-cache-path", d.TLSACMECachePath),
		absolute("tls-acme-ca", d.TLSACMECAPath),
		absolute("error-pages", d.ErrorPages),
	)
}

func absolute(flag, path string) error {
	if path != "" && !filepath.IsAbs(path) {
		return fmt.Errorf("%s %q is relative: the daemon has a working folder of its own, give an absolute path", flag, path)
	}
	return nil
}

func (d Deploy) options() spec.Options {
	o := spec.Options{
		Hosts:                       d.Hosts,
		PathPrefixes:                d.PathPrefixes,
		TLSEnabled:                  d.TLS,
		TLSCertificatePath:          d.TLSCertificatePath,
		TLSPrivateKeyPath:           d.TLSPrivateKeyPath,
		TLSOnDemandURL:              d.TLSOnDemandURL,
		TLSRedirect:                 d.TLSRedirect,
		CanonicalHost:               d.CanonicalHost,
		ACMECachePath:               d.TLSACMECachePath,
		ACMEDirectory:               d.TLSACMEDirectory,
		ACMECAPath:                  d.TLSACMECAPath,
		ErrorPagePath:               d.ErrorPages,
		StripPrefix:                 d.StripPathPrefix,
		WriterAffinityTimeout:       d.WriterAffinityTimeout,
		ReadTargetsAcceptWebsockets: d.ReadTargetWebsockets,
		ExcludeMetricsPaths:         d.ExcludeMetricsPaths,
		ClientIPHeader:              d.ClientIPHeader,
		LoadBalancing:               d.LoadBalancing,
		Sticky:                      d.Sticky,
	}
	if d.TLSStaging {
		o.ACMEDirectory = stagingDirectory
	}
	return o
}

func (d Deploy) targetOptions() spec.TargetOptions {
	return spec.TargetOptions{
		HealthCheck: spec.HealthCheck{
			Path:     d.HealthCheckPath,
			Port:     d.HealthCheckPort,
			Interval: d.HealthCheckInterval,
			Timeout:  d.HealthCheckTimeout,
			Host:     d.HealthCheckHost,
		},
		ResponseTimeout:     d.TargetTimeout,
		BufferRequests:      given(d.BufferRequests, false),
		BufferResponses:     given(d.BufferResponses, false),
		MaxMemoryBufferSize: d.BufferMemory,
		MaxRequestBodySize:  given(d.MaxRequestBody, 0),
		MaxResponseBodySize: given(d.MaxResponseBody, 0),
		LogRequestHeaders:   d.LogRequestHeaders,
		LogResponseHeaders:  d.LogResponseHeaders,
		ForwardHeaders:      given(d.ForwardHeaders, !d.TLS),
		ScopeCookiePaths:    d.ScopeCookiePaths,
	}
}

func (d Deploy) how() spec.Deployment {
	return spec.Deployment{DeployTimeout: d.DeployTimeout, DrainTimeout: d.DrainTimeout, Force: d.Force}
}

func (d Deploy) message(asker *service.Asker, load Load) (registry.Message, error) {
	r, err := d.record()
	if err != nil {
		return nil, err
	}
	assets, err := load(r.Options)
	if err != nil {
		return nil, err
	}
	return registry.Order{Service: r.Name, Order: &service.Deploy{
		Asker:         asker,
		Slot:          service.Active,
		Options:       r.Options,
		TargetOptions: r.TargetOptions,
		Targets:       r.ActiveTargets,
		Readers:       r.ActiveReaders,
		How:           d.how(),
		Assets:        assets,
	}}, nil
}
