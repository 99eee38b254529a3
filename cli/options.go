package cli

// RunOptions are what `run` is started with.
type RunOptions struct {
	Debug       bool
	HTTPPort    int // 0: any free one
	HTTPSPort   int // 0: any free one
	MetricsPort int // 0: no metrics
	HTTP3       bool
	MaxHeld     int // requests that one paused service holds

	Socket string // where orders come in
	Data   string // folder of the state file and the certificates
}
