package control

import (
	"errors"
	"time"

	"kamal-proxy/actors/service"
	"kamal-proxy/actors/spec"
)

// The paths of the orders.
const (
	deployPath        = "/v1/deploy"
	removePath        = "/v1/remove"
	pausePath         = "/v1/pause"
	stopPath          = "/v1/stop"
	resumePath        = "/v1/resume"
	rolloutDeployPath = "/v1/rollout/deploy"
	rolloutSetPath    = "/v1/rollout/set"
	rolloutStopPath   = "/v1/rollout/stop"
	listPath          = "/v1/list"
	upgradePath       = "/v1/upgrade"

	withHealth = "health" // in the query of list: of the targets, too
)

// Deploy asks for new targets of a service, and makes it if there is none.
// Start from NewDeploy: its fields are the flags' defaults.
type Deploy struct {
	Service     string   `json:"service"`
	Targets     []string `json:"target"`
	ReadTargets []string `json:"read_target"`

	Hosts           []string `json:"host"`
	PathPrefixes    []string `json:"path_prefix"`
	StripPathPrefix bool     `json:"strip_path_prefix"`
	CanonicalHost   string   `json:"canonical_host"`

	TLS                bool   `json:"tls"`
	TLSOnDemandURL     string `json:"tls_on_demand_url"`
	TLSStaging         bool   `json:"tls_staging"`
	TLSCertificatePath string `json:"tls_certificate_path"`
	TLSPrivateKeyPath  string `json:"tls_private_key_path"`
	TLSACMECachePath   string `json:"tls_acme_cache_path"`
	TLSACMEDirectory   string `json:"tls_acme_directory"`
	TLSACMECAPath      string `json:"tls_acme_ca"`
	TLSRedirect        bool   `json:"tls_redirect"`

	DeployTimeout time.Duration `json:"deploy_timeout"`
	DrainTimeout  time.Duration `json:"drain_timeout"`
	Force         bool          `json:"force"`

	HealthCheckPath     string        `json:"health_check_path"`
	HealthCheckPort     int           `json:"health_check_port"`
	HealthCheckHost     string        `json:"health_check_host"`
	HealthCheckInterval time.Duration `json:"health_check_interval"`
	HealthCheckTimeout  time.Duration `json:"health_check_timeout"`

	LoadBalancing string `json:"lb"` // round-robin or least
	Sticky        bool   `json:"sticky"`

	WriterAffinityTimeout time.Duration `json:"writer_affinity_timeout"`
	ReadTargetWebsockets  bool          `json:"read_target_websockets"`
	TargetTimeout         time.Duration `json:"target_timeout"`

	// A body's limit needs its buffering to be given, be it as false; nil is
	// not given.
	BufferRequests  *bool  `json:"buffer_requests"`
	BufferResponses *bool  `json:"buffer_responses"`
	BufferMemory    int64  `json:"buffer_memory"`
	MaxRequestBody  *int64 `json:"max_request_body"`
	MaxResponseBody *int64 `json:"max_response_body"`

	ErrorPages          string   `json:"error_pages"`
	LogRequestHeaders   []string `json:"log_request_header"`
	LogResponseHeaders  []string `json:"log_response_header"`
	ExcludeMetricsPaths []string `json:"exclude_metrics_path"`
	ForwardHeaders      *bool    `json:"forward_headers"` // nil: only without TLS
	ClientIPHeader      string   `json:"client_ip_header"`
	ScopeCookiePaths    bool     `json:"scope_cookie_paths"`
}

// RolloutDeploy asks for new rollout targets of a service.
type RolloutDeploy struct {
	Service       string        `json:"service"`
	Targets       []string      `json:"target"`
	ReadTargets   []string      `json:"read_target"`
	DeployTimeout time.Duration `json:"deploy_timeout"`
	DrainTimeout  time.Duration `json:"drain_timeout"`
}

// RolloutSet says who is sent to the rollout targets; at least one of the two
// is given.
type RolloutSet struct {
	Service string   `json:"service"`
	Percent *int     `json:"percent"`
	List    []string `json:"list"` // values of the cookie; null is not given
}

// RolloutStop sends everybody to the active targets.
type RolloutStop struct {
	Service string `json:"service"`
}

// Pause holds a service's requests.
type Pause struct {
	Service      string        `json:"service"`
	DrainTimeout time.Duration `json:"drain_timeout"`
	MaxPause     time.Duration `json:"max_pause"`
}

// Stop answers a service's requests with a page.
type Stop struct {
	Service      string        `json:"service"`
	DrainTimeout time.Duration `json:"drain_timeout"`
	Message      string        `json:"message"`
}

// Resume ends a pause or a stop.
type Resume struct {
	Service string `json:"service"`
}

// Remove takes a service away.
type Remove struct {
	Service      string        `json:"service"`
	DrainTimeout time.Duration `json:"drain_timeout"`
}

// Row is one service of list. Record is all that is kept of it, in the form of
// the state file.
type Row struct {
	Service string       `json:"service"`
	Hosts   []string     `json:"hosts"` // "*" is any
	Paths   []string     `json:"paths"`
	Targets []string     `json:"targets"` // writers, then readers
	State   string       `json:"state"`   // running, paused or stopped
	TLS     bool         `json:"tls"`
	Health  []Condition  `json:"health,omitempty"` // of its targets, where that was asked for
	Record  *spec.Record `json:"record"`
}

// Condition is how one target is doing.
type Condition = service.Condition

// The Health of a Condition.
const (
	Well      = service.Well
	Failing   = service.Failing
	Ejected   = service.Ejected
	Returning = service.Returning
	Unhealthy = service.Unhealthy
)

// Step is one step of an order, for its caller's eyes.
type Step = service.Progress

// The stages of a Step.
const (
	Parked   = service.StageParked
	Queued   = service.StageQueued
	Checking = service.StageChecking
	Healthy  = service.StageHealthy
	Switched = service.StageSwitched
	Draining = service.StageDraining
	Cut      = service.StageCut
	Drained  = service.StageDrained
)

// line is one line of the answer to an order.
type line struct {
	Progress *Step  `json:"progress,omitempty"`
	Error    string `json:"error,omitempty"`
	Moved    bool   `json:"moved,omitempty"` // the Error is errMoved
	Done     bool   `json:"done,omitempty"`
}

func failure(err error) line {
	return line{Error: err.Error(), Moved: errors.Is(err, errMoved)}
}

// NewDeploy has the default of each flag.
func NewDeploy() Deploy {
	options, targets := spec.DefaultOptions(), spec.DefaultTargetOptions()
	return Deploy{
		StripPathPrefix:       options.StripPrefix,
		TLSRedirect:           options.TLSRedirect,
		DeployTimeout:         spec.DefaultDeployTimeout,
		DrainTimeout:          spec.DefaultDrainTimeout,
		HealthCheckPath:       targets.HealthCheck.Path,
		HealthCheckPort:       targets.HealthCheck.Port,
		HealthCheckHost:       targets.HealthCheck.Host,
		HealthCheckInterval:   targets.HealthCheck.Interval,
		HealthCheckTimeout:    targets.HealthCheck.Timeout,
		LoadBalancing:         spec.RoundRobin,
		WriterAffinityTimeout: options.WriterAffinityTimeout,
		TargetTimeout:         targets.ResponseTimeout,
		BufferMemory:          targets.MaxMemoryBufferSize,
	}
}

// NewRolloutDeploy has the default of each flag.
func NewRolloutDeploy() RolloutDeploy {
	return RolloutDeploy{DeployTimeout: spec.DefaultDeployTimeout, DrainTimeout: spec.DefaultDrainTimeout}
}

// NewPause has the default of each flag.
func NewPause() Pause {
	return Pause{DrainTimeout: spec.DefaultDrainTimeout, MaxPause: spec.DefaultMaxPause}
}

// NewStop has the default of each flag.
func NewStop() Stop { return Stop{DrainTimeout: spec.DefaultDrainTimeout} }

// NewRemove has the default of each flag.
func NewRemove() Remove { return Remove{DrainTimeout: spec.DefaultDrainTimeout} }
