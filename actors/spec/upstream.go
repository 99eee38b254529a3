package spec

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
)

// The targets that basecamp/kamal-proxy 0.9.2 knows.
var upstreamTarget = regexp.MustCompile(`^(\w[-_.\w+]+)(:\d+)?$`)

// UpstreamLoads says why basecamp/kamal-proxy 0.9.2 would not load r from the
// state file, or returns nil. One entry that it does not load makes it drop
// all of them, so such an entry must not be in a file that it may read.
func UpstreamLoads(r *Record) error {
	for _, target := range slices.Concat(r.ActiveTargets, r.ActiveReaders, r.RolloutTargets, r.RolloutReaders) {
		if !upstreamTarget.MatchString(target) {
			return fmt.Errorf("target %s is none that it can name", target)
		}
	}
	if r.Options.AutomaticTLS() && slices.ContainsFunc(r.Options.Hosts, IsWildcard) {
		return ErrWildcardTLS
	}
	if r.TargetOptions.HealthCheck.Interval <= 0 {
		return errors.New("its health-check-interval is not more than 0")
	}
	return validateOnDemandURL(r.Options.TLSOnDemandURL)
}
