package spec

import "time"

// Defaults of deploy's flags that other packages need, too.
const (
	DefaultDeployTimeout = 30 * time.Second
	DefaultDrainTimeout  = 30 * time.Second
	DefaultMaxPause      = 30 * time.Second
)

// DefaultOptions are those of a deploy without flags.
func DefaultOptions() Options {
	return Options{
		Hosts:                 []string{AnyHost},
		PathPrefixes:          []string{"/"},
		TLSRedirect:           true,
		StripPrefix:           true,
		WriterAffinityTimeout: time.Second,
	}
}

// DefaultTargetOptions are those of a deploy without flags. ForwardHeaders is
// the opposite of TLSEnabled, so it is true here.
func DefaultTargetOptions() TargetOptions {
	return TargetOptions{
		HealthCheck:         DefaultHealthCheck(),
		ResponseTimeout:     30 * time.Second,
		MaxMemoryBufferSize: 1 << 20,
		ForwardHeaders:      true,
	}
}

// DefaultHealthCheck is that of a deploy without flags.
func DefaultHealthCheck() HealthCheck {
	return HealthCheck{Path: "/up", Interval: time.Second, Timeout: 5 * time.Second}
}
