package cli

import (
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

func (d *deployForm) addFlags(cmd *cobra.Command) {
	addTopic(cmd, "Targets", d.addTargets)
	addTopic(cmd, "Hosts and paths", d.addHosts)
	addTopic(cmd, "TLS", d.addTLS)
	addTopic(cmd, "The switch", d.addSwitch)
	addTopic(cmd, "Health checks", d.addHealthChecks)
	addTopic(cmd, "Requests and responses", d.addMessages)
	addTopic(cmd, "Log and metrics", d.addLog)
	cmd.MarkFlagRequired("target")
}

func (d *deployForm) addTargets(f *pflag.FlagSet) {
	f.StringSliceVar(&d.Targets, "target", nil, "`host:port` that serves requests; port 80 when left out")
	f.StringSliceVar(&d.ReadTargets, "read-target", nil, "`host:port` that serves only GET and HEAD")
	f.StringVar(&d.LoadBalancing, "lb", d.LoadBalancing, "`way` to choose among targets: round-robin, or least for the one with fewer requests of two")
	f.BoolVar(&d.Sticky, "sticky", false, "send a visitor back to the same target, by a cookie")
	f.DurationVar(&d.WriterAffinityTimeout, "writer-affinity-timeout", d.WriterAffinityTimeout, "how long a visitor who wrote reads from the writers, 0 for not at all")
	f.BoolVar(&d.ReadTargetWebsockets, "read-target-websockets", false, "send WebSockets to read targets, too")
	f.DurationVar(&d.TargetTimeout, "target-timeout", d.TargetTimeout, "how long a target may take to begin its response, 0 for ever")
}

func (d *deployForm) addHosts(f *pflag.FlagSet) {
	f.StringSliceVar(&d.Hosts, "host", nil, "`host` to serve, *.example.com for any one label; all hosts when left out")
	f.StringSliceVar(&d.PathPrefixes, "path-prefix", nil, "`path` to serve, with all below it; / when left out")
	f.BoolVar(&d.StripPathPrefix, "strip-path-prefix", d.StripPathPrefix, "take the prefix off the path that the target sees")
	f.StringVar(&d.CanonicalHost, "canonical-host", "", "`host` that requests for all others are redirected to")
}

func (d *deployForm) addTLS(f *pflag.FlagSet) {
	f.BoolVar(&d.TLS, "tls", false, "serve HTTPS, with certificates from Let's Encrypt if none is named")
	f.BoolVar(&d.TLSRedirect, "tls-redirect", d.TLSRedirect, "redirect HTTP to HTTPS")
	f.StringVar(&d.TLSCertificatePath, "tls-certificate-path", "", "`file` with a certificate of your own, in PEM")
	f.StringVar(&d.TLSPrivateKeyPath, "tls-private-key-path", "", "`file` with its private key, in PEM")
	f.StringVar(&d.TLSOnDemandURL, "tls-on-demand-url", "", "`URL`, or path of the service, that is asked whether a host may have a certificate")
	f.BoolVar(&d.TLSStaging, "tls-staging", false, "get certificates for trials, from Let's Encrypt's staging servers")
	f.StringVar(&d.TLSACMEDirectory, "tls-acme-directory", "", "`URL` of another certificate authority's ACME directory")
	f.StringVar(&d.TLSACMECAPath, "tls-acme-ca", "", "`file` with the root certificate to trust for that authority")
	f.StringVar(&d.TLSACMECachePath, "tls-acme-cache-path", d.TLSACMECachePath, "`folder` where certificates are kept")
}

func (d *deployForm) addSwitch(f *pflag.FlagSet) {
	f.DurationVar(&d.DeployTimeout, "deploy-timeout", d.DeployTimeout, "how long the new targets may take to get healthy, 0 for one check")
	f.DurationVar(&d.DrainTimeout, "drain-timeout", d.DrainTimeout, "how long requests on the old targets may take")
	f.BoolVar(&d.Force, "force", false, "switch without waiting for health")
}

func (d *deployForm) addHealthChecks(f *pflag.FlagSet) {
	f.StringVar(&d.HealthCheckPath, "health-check-path", d.HealthCheckPath, "`path` that answers 2xx when a target is healthy")
	f.IntVar(&d.HealthCheckPort, "health-check-port", d.HealthCheckPort, "`port` to check, 0 for the target's own")
	f.StringVar(&d.HealthCheckHost, "health-check-host", d.HealthCheckHost, "`host` that the check asks for; the target's own when left out")
	f.DurationVar(&d.HealthCheckInterval, "health-check-interval", d.HealthCheckInterval, "time between two checks")
	f.DurationVar(&d.HealthCheckTimeout, "health-check-timeout", d.HealthCheckTimeout, "how long a check may take")
}

func (d *deployForm) addMessages(f *pflag.FlagSet) {
	f.BoolVar(&d.bufferRequests, "buffer-requests", false, "take in a request before the target gets it")
	f.BoolVar(&d.bufferResponses, "buffer-responses", false, "take in a response before the client gets it")
	f.Int64Var(&d.BufferMemory, "buffer-memory", d.BufferMemory, "`bytes` of each that are kept in memory, the rest goes to disk")
	f.Int64Var(&d.maxRequestBody, "max-request-body", 0, "most `bytes` of a buffered request's body, 0 for no limit")
	f.Int64Var(&d.maxResponseBody, "max-response-body", 0, "most `bytes` of a buffered response's body, 0 for no limit")
	f.BoolVar(&d.forwardHeaders, "forward-headers", d.forwardHeaders, "trust the X-Forwarded headers of requests")
	f.Lookup("forward-headers").DefValue = "not --tls"
	f.StringVar(&d.ClientIPHeader, "client-ip-header", "", "`name` of the header that has the client's address")
	f.BoolVar(&d.ScopeCookiePaths, "scope-cookie-paths", false, "put the stripped prefix in front of the paths of cookies")
	f.StringVar(&d.ErrorPages, "error-pages", "", "`folder` with pages of your own, such as 503.html")
}

func (d *deployForm) addLog(f *pflag.FlagSet) {
	f.StringSliceVar(&d.LogRequestHeaders, "log-request-header", nil, "`name` of a request header to log")
	f.StringSliceVar(&d.LogResponseHeaders, "log-response-header", nil, "`name` of a response header to log")
	f.StringSliceVar(&d.ExcludeMetricsPaths, "exclude-metrics-path", nil, "`path` that is left out of metrics")
}
