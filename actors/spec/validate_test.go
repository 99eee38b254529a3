package spec

import (
	"reflect"
	"strings"
	"testing"
	"time"
)

// deployed is a record as deploy makes it of no flags but a target.
func deployed(change func(*Record)) *Record {
	r := &Record{Name: "app-web", Options: DefaultOptions(), TargetOptions: DefaultTargetOptions(), ActiveTargets: []string{"web:3000"}}
	change(r)
	return r
}

func TestValidateTellsWhatIsWrong(t *testing.T) {
	const invalid = "service options invalid: "
	for want, change := range map[string]func(*Record){
		invalid + "host must be set when using TLS":                              func(r *Record) { r.Options.TLSEnabled = true },
		invalid + "TLS settings must be specified on the root path service":      func(r *Record) { tls(r); r.Options.PathPrefixes = []string{"/api"} },
		invalid + "TLS must be enabled to use a TLS on-demand URL":               func(r *Record) { r.Options.TLSOnDemandURL = "/ask" },
		invalid + "cannot set hosts when using a TLS on-demand URL":              func(r *Record) { tls(r); r.Options.TLSOnDemandURL = "/ask" },
		invalid + "cannot use a custom TLS certificate with a TLS on-demand URL": func(r *Record) { onDemand(r, "/ask"); certificate(r) },
		invalid + "cannot set a canonical host when using a TLS on-demand URL":   func(r *Record) { onDemand(r, "/ask"); r.Options.CanonicalHost = "b.com" },
		invalid + "canonical-host 'b.com' must be present in the hosts list: [a.com *.a.com]": func(r *Record) {
			tls(r)
			r.Options.CanonicalHost = "B.com"
			r.Options.Hosts = []string{"a.com", "*.a.com"}
		},
		invalid + "canonical-host '*.a.com' is a wildcard: name one host":       func(r *Record) { r.Options.CanonicalHost = "*.a.com" },
		invalid + "tls-on-demand-url must be a path or an absolute http(s) URL": func(r *Record) { onDemand(r, "ask") },
		invalid + `unsupported scheme "ftp" in tls-on-demand-url`:               func(r *Record) { onDemand(r, "ftp://a.com/") },
		invalid + "missing host in tls-on-demand-url":                           func(r *Record) { onDemand(r, "http:///ask") },
		invalid + "unable to parse tls-on-demand-url: ":                         func(r *Record) { onDemand(r, "http://a.com:x/") },
		invalid + "tls-certificate-path and tls-private-key-path go together":   func(r *Record) { tls(r); r.Options.TLSPrivateKeyPath = "/k.pem" },
		"automatic TLS does not support wildcards":                              func(r *Record) { tls(r); r.Options.Hosts = []string{"*.a.com"} },
		"health-check-interval is 0s":                                           func(r *Record) { r.TargetOptions.HealthCheck.Interval = 0 },
		"health-check-interval is -1s":                                          func(r *Record) { r.TargetOptions.HealthCheck.Interval = -time.Second },
		"health-check-timeout is 0s":                                            func(r *Record) { r.TargetOptions.HealthCheck.Timeout = 0 },
		"health-check-port is 65536":                                            func(r *Record) { r.TargetOptions.HealthCheck.Port = 65536 },
		"health-check-port is -1":                                               func(r *Record) { r.TargetOptions.HealthCheck.Port = -1 },
		"health-check-path":                                                     func(r *Record) { r.TargetOptions.HealthCheck.Path = "/a\r\nb" },
		"health-check-host":                                                     func(r *Record) { r.TargetOptions.HealthCheck.Host = "a\nb" },
		"target-timeout is -1s":                                                 func(r *Record) { r.TargetOptions.ResponseTimeout = -time.Second },
		"buffer-memory is -1":                                                   func(r *Record) { r.TargetOptions.MaxMemoryBufferSize = -1 },
		"max-request-body is -1":                                                func(r *Record) { r.TargetOptions.MaxRequestBodySize = -1 },
		"max-response-body is -1":                                               func(r *Record) { r.TargetOptions.MaxResponseBodySize = -1 },
		"writer-affinity-timeout is -1ns":                                       func(r *Record) { r.Options.WriterAffinityTimeout = -1 },
		"client-ip-header":                                                      func(r *Record) { r.Options.ClientIPHeader = "X IP" },
		"log-request-header":                                                    func(r *Record) { r.TargetOptions.LogRequestHeaders = []string{"X\nY"} },
		"no target is given":                                                    func(r *Record) { r.ActiveTargets = nil; r.ActiveReaders = []string{"web"} },
		":80 :invalid host pattern: a target is host or host:port, such as web-1:3000":      func(r *Record) { r.ActiveTargets = []string{":80"} },
		"http://x :invalid host pattern: a target is host or host:port, such as web-1:3000": func(r *Record) { r.ActiveReaders = []string{"http://x"} },
		"a b :invalid host pattern: a target is host or host:port, such as web-1:3000":      func(r *Record) { r.RolloutTargets = []string{"a b"} },
		"the service has no name":                     func(r *Record) { r.Name = " " },
		"the service's name is longer than 255 bytes": func(r *Record) { r.Name = strings.Repeat("a", 256) },
		"cannot be printed":                           func(r *Record) { r.Name = "a\nb" },
		"percent is 101":                              func(r *Record) { r.Rollout = &Rollout{Percentage: 101} },
		"max-pause is -1ns":                           func(r *Record) { r.PauseController.FailAfter = -1 },
	} {
		r := deployed(change)
		if err := r.Normalize(); err != nil {
			t.Errorf("%q: Normalize: %v", want, err)
			continue
		}
		err := r.Validate()
		if err == nil || !strings.Contains(err.Error(), want) || strings.HasPrefix(want, invalid) != strings.HasPrefix(err.Error(), invalid) {
			t.Errorf("got %v, want %q", err, want)
		} else if strings.Contains(err.Error(), "\n") {
			t.Errorf("%q is more than a line", err)
		}
	}
}

func TestURLsThatDoNotParseAreNotTold(t *testing.T) {
	r := deployed(func(r *Record) { onDemand(r, "http://user:se cret@a.com/ask?token=secret\x7f") })
	if err := r.Validate(); err == nil || strings.Contains(err.Error(), "cret") {
		t.Errorf("got %v", err)
	}
}

func TestValidateAccepts(t *testing.T) {
	for name, change := range map[string]func(*Record){
		"nothing but a target":          func(*Record) {},
		"TLS":                           tls,
		"TLS with a path beside /":      func(r *Record) { tls(r); r.Options.PathPrefixes = []string{"/", "/api"} },
		"a path without TLS":            func(r *Record) { r.Options.PathPrefixes = []string{"/api"} },
		"a certificate for a wildcard":  func(r *Record) { tls(r); certificate(r); r.Options.Hosts = []string{"*.a.com"} },
		"a wildcard without TLS":        func(r *Record) { r.Options.Hosts = []string{"*.a.com"} },
		"on demand by a path":           func(r *Record) { onDemand(r, "/ask?x=1") },
		"on demand by a URL":            func(r *Record) { onDemand(r, "https://a.com:8443/ask") },
		"a canonical host":              func(r *Record) { r.Options.Hosts = []string{"b.com", "A.com."}; r.Options.CanonicalHost = "a.COM" },
		"a canonical host of any":       func(r *Record) { r.Options.CanonicalHost = "a.com" },
		"Kamal's odd header names":      func(r *Record) { r.TargetOptions.LogRequestHeaders = []string{"X-$Foo", "X`y", `X"q`, `X\b`} },
		"Kamal's odd host":              func(r *Record) { r.Options.Hosts = []string{"münchen.example"} },
		"Kamal's probe":                 func(r *Record) { r.TargetOptions.HealthCheck.Path = "/up?probe=$x" },
		"sizes without buffers":         func(r *Record) { r.TargetOptions.MaxRequestBodySize = 40000000 },
		"no limits":                     func(r *Record) { r.TargetOptions.ResponseTimeout, r.Options.WriterAffinityTimeout = 0, 0 },
		"a name of parts":               func(r *Record) { r.Name = "a/healthcheck/1.x é" },
		"targets that upstream has not": func(r *Record) { r.ActiveTargets = []string{"w", "[::1]:80"} },
		"a rollout":                     func(r *Record) { r.RolloutTargets = []string{"web"}; r.Rollout, _ = NewRollout(100, nil) },
	} {
		r := deployed(change)
		if err := r.Normalize(); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if err := r.Validate(); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	if err := (Deployment{}).Validate(); err != nil {
		t.Errorf("time limits of 0: %v", err)
	}
	if err := (Deployment{DrainTimeout: -1}).Validate(); err == nil || !strings.Contains(err.Error(), "drain-timeout") {
		t.Errorf("a negative limit: %v", err)
	}
}

func TestNormalize(t *testing.T) {
	r := deployed(func(r *Record) {
		r.Options.Hosts = []string{" B.example.com", "a.example.com.", "A.example.com"}
		r.Options.PathPrefixes = []string{"api/", "/", "/api", "", "//v1/x//"}
		r.Options.CanonicalHost = " A.Example.com "
		r.TargetOptions.HealthCheck.Path = "up?x=/y/"
		r.TargetOptions.LogRequestHeaders = []string{"X-A", " x-a", "", "X-B"}
		r.Options.ExcludeMetricsPaths = []string{"/up", " /up", "/UP"}
	})
	if err := r.Normalize(); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ got, want any }{
		{r.Options.Hosts, []string{"b.example.com", "a.example.com"}},
		{r.Options.PathPrefixes, []string{"/api", "/", "/v1/x"}},
		{r.Options.CanonicalHost, "a.example.com"},
		{r.TargetOptions.HealthCheck.Path, "/up?x=/y/"},
		{r.TargetOptions.LogRequestHeaders, []string{"X-A", "X-B"}},
		{r.Options.ExcludeMetricsPaths, []string{"/up", "/UP"}},
	} {
		if !reflect.DeepEqual(c.got, c.want) {
			t.Errorf("got %q, want %q", c.got, c.want)
		}
	}
	once := r.Clone()
	if err := r.Normalize(); err != nil || !reflect.DeepEqual(r, once) {
		t.Errorf("a second time changes it: %+v, %v", r, err)
	}

	for _, change := range []func(*Record){
		func(r *Record) { r.Options.Hosts = []string{"A.com", "b c"} },
		func(r *Record) { r.Options.Hosts, r.Options.PathPrefixes = []string{"A.com"}, []string{"/a?b"} },
		func(r *Record) { r.Options.Hosts, r.Options.CanonicalHost = []string{"A.com"}, "a.com:80" },
	} {
		r, before := deployed(change), deployed(change)
		if err := r.Normalize(); err == nil || !reflect.DeepEqual(r, before) {
			t.Errorf("%v, and half applied: %+v", err, r)
		}
	}
}

func TestUpstreamLoads(t *testing.T) {
	for name, c := range map[string]struct {
		loads  bool
		change func(*Record)
	}{
		"plain":                 {true, func(*Record) {}},
		"container":             {true, func(r *Record) { r.ActiveTargets = []string{"123456789012:80", "web_1.x-y+z"} }},
		"one letter":            {false, func(r *Record) { r.ActiveTargets = []string{"w:80"} }},
		"IPv6 reader":           {false, func(r *Record) { r.ActiveReaders = []string{"[::1]:80"} }},
		"IPv6 rollout":          {false, func(r *Record) { r.RolloutTargets = []string{"[::1]:80"} }},
		"rollout reader":        {false, func(r *Record) { r.RolloutReaders = []string{"w"} }},
		"wildcard":              {true, func(r *Record) { r.Options.Hosts = []string{"*.a.com"} }},
		"wildcard, automatic":   {false, func(r *Record) { tls(r); r.Options.Hosts = []string{"*.a.com"} }},
		"wildcard, certificate": {true, func(r *Record) { tls(r); certificate(r); r.Options.Hosts = []string{"*.a.com"} }},
		"interval 0":            {false, func(r *Record) { r.TargetOptions.HealthCheck.Interval = 0 }},
	} {
		if err := UpstreamLoads(deployed(c.change)); (err == nil) != c.loads {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func tls(r *Record) { r.Options.TLSEnabled, r.Options.Hosts = true, []string{"a.com"} }

func certificate(r *Record) {
	r.Options.TLSCertificatePath, r.Options.TLSPrivateKeyPath = "/c.pem", "/k.pem"
}

func onDemand(r *Record, url string) { r.Options.TLSEnabled, r.Options.TLSOnDemandURL = true, url }
