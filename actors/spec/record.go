// Package spec holds the plain values that everything else is told in: what a
// service is, how it is deployed, what the state file says. It knows no actor
// and no network.
package spec

import (
	"encoding/json"
	"time"
)

// State is what a service does with requests.
type State int

// The numbers are those of the state file.
const (
	Running State = 0
	Paused  State = 1
	Stopped State = 2
)

func (s State) String() string {
	switch s {
	case Paused:
		return "paused"
	case Stopped:
		return "stopped"
	default:
		return "running"
	}
}

// Record is everything that is kept of one service: an entry of the state
// file and a row of list. It is never changed once it is published; a change
// is a new Record, made with Clone.
type Record struct {
	Name            string
	Options         Options
	TargetOptions   TargetOptions
	ActiveTargets   []string
	ActiveReaders   []string
	RolloutTargets  []string
	RolloutReaders  []string
	PauseController Gate
	Rollout         *Rollout // nil: no rollout is set

	// extra keeps the keys of the state file that this version does not know.
	extra map[string]json.RawMessage
}

// Ways to choose among several targets, as deploy's flag names them. The first
// is kept as the empty string.
const (
	RoundRobin = "round-robin"
	Least      = "least"
)

// Options say how a service is reached. Hosts is never empty: no host is one
// empty string, which stands for any host.
type Options struct {
	Hosts                       []string
	PathPrefixes                []string
	TLSEnabled                  bool
	TLSCertificatePath          string
	TLSPrivateKeyPath           string
	TLSOnDemandURL              string
	TLSRedirect                 bool
	CanonicalHost               string
	ACMEDirectory               string // empty: Let's Encrypt
	ACMECachePath               string // empty: certs in the data folder
	ACMECAPath                  string // ours: root to trust for ACMEDirectory; empty: the system's
	ErrorPagePath               string
	StripPrefix                 bool
	WriterAffinityTimeout       time.Duration
	ReadTargetsAcceptWebsockets bool
	ExcludeMetricsPaths         []string
	ClientIPHeader              string
	LoadBalancing               string // ours: empty, in turn, or Least
	Sticky                      bool   // ours: clients stay with their target
	StickyKey                   string // ours: what targets are named to them by

	extra map[string]json.RawMessage
}

// TargetOptions say how a service's targets are checked and asked.
type TargetOptions struct {
	HealthCheck         HealthCheck
	ResponseTimeout     time.Duration // to the response's head; 0: no limit
	BufferRequests      bool
	BufferResponses     bool
	MaxMemoryBufferSize int64 // bytes
	MaxRequestBodySize  int64 // bytes; 0: no limit
	MaxResponseBodySize int64 // bytes; 0: no limit
	LogRequestHeaders   []string
	LogResponseHeaders  []string
	ForwardHeaders      bool
	ScopeCookiePaths    bool

	extra map[string]json.RawMessage
}

// HealthCheck says how a target is asked whether it is well.
type HealthCheck struct {
	Path     string
	Port     int // 0: the target's own
	Interval time.Duration
	Timeout  time.Duration
	Host     string // the Host header; empty: the target's

	extra map[string]json.RawMessage
}

// Gate is the kept part of a service's gate: the state file's pause_controller.
type Gate struct {
	State       State
	StopMessage string
	FailAfter   time.Duration // how long a paused request waits

	extra map[string]json.RawMessage
}

// Rollout says who is sent to the rollout targets.
type Rollout struct {
	Percentage           int
	PercentageSplitPoint uint32 // the highest hash of a cookie that is in
	Allowlist            []string

	extra map[string]json.RawMessage
}

// Deployment says how a switch is made. It is not kept.
type Deployment struct {
	DeployTimeout time.Duration // how long a target may take to get healthy; 0: its first check decides
	DrainTimeout  time.Duration // how long requests on the old targets may take
	Force         bool          // switch without waiting for health
}
