package cli

import (
	"net/netip"
	"time"
)

// RunOptions are what `run` is started with.
type RunOptions struct {
	Debug       bool
	HTTPPort    int // 0: any free one
	HTTPSPort   int // 0: any free one
	MetricsPort int // 0: no metrics
	HTTP3       bool
	MaxHeld     int // requests that one paused service holds
	MaxInFlight int // requests of one service at once; 0: no limit

	Limits

	UpgradeTimeout  time.Duration // how long what has begun may take, once a successor serves
	ShutdownTimeout time.Duration // how long it may take, once the proxy is told to end

	TrustedProxies []netip.Prefix // nil: see --forward-headers; nobody is named
	ProxyProtocol  bool

	Socket string // where orders come in
	Data   string // folder of the state file and the certificates
}
