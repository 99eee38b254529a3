package service

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"kamal-proxy/actors/healthcheck"
	"kamal-proxy/actors/spec"
)

// Errors of orders. Their texts are interface: scripts look for them.
var (
	// ErrRemoved ends the orders of a service that is removed meanwhile.
	ErrRemoved = errors.New("the service was removed meanwhile; deploy it again if that was not meant")
	// ErrNoRollout: there are no rollout targets to send anybody to.
	ErrNoRollout = errors.New("rollout target not set; give it one with rollout deploy first")
)

// DeployError says why no switch was made: what each target that is not
// healthy answered last, and what to do about it. The first line is the whole
// error for those who want one.
type DeployError struct {
	Timeout time.Duration
	Targets []TargetReport
}

// TargetReport is what one target's checks came to.
type TargetReport struct {
	Target  string
	Path    string // that was asked for
	Answers []string
	Hint    string
}

// Error implements error: the text scripts know, then a line a target.
func (e *DeployError) Error() string {
	var b strings.Builder
	fmt.Fprintf(&b, "target failed to become healthy within configured timeout (%s)", e.Timeout)
	for _, t := range e.Targets {
		fmt.Fprintf(&b, "\n  %s %s", t.Target, strings.Join(t.Answers, ", then "))
		if t.Hint != "" {
			fmt.Fprintf(&b, "\n  %s", t.Hint)
		}
	}
	return b.String()
}

// reports are what a warming target's checks said, equal ones in a row
// counted.
type reports []report

type report struct {
	result healthcheck.Result
	times  int
}

const keptReports = 3

func (rs *reports) add(r healthcheck.Result) {
	if n := len(*rs); n > 0 && (*rs)[n-1].result.String() == r.String() {
		(*rs)[n-1].times++
		(*rs)[n-1].result = r
		return
	}
	*rs = append(*rs, report{r, 1})
	if len(*rs) > keptReports {
		*rs = (*rs)[1:]
	}
}

// diagnose explains a pool that did not get healthy.
func diagnose(p *pool, check spec.HealthCheck, timeout time.Duration) *DeployError {
	e := &DeployError{Timeout: timeout}
	for t := range p.targets {
		if t.healthy {
			continue
		}
		r := TargetReport{Target: t.name, Path: check.Path}
		for _, report := range t.reports {
			r.Answers = append(r.Answers, report.describe(check))
		}
		if n := len(t.reports); n > 0 {
			r.Hint = hint(t.reports[n-1].result, t.name, check)
		} else {
			r.Answers = []string{"has not answered its first check of " + check.Path + " yet"}
			r.Hint = "Give it longer with --deploy-timeout."
		}
		e.Targets = append(e.Targets, r)
	}
	return e
}

func (r report) describe(check spec.HealthCheck) string {
	s := r.result.String()
	if r.result.Kind == healthcheck.Answered {
		s += " for GET " + check.Path
	}
	if r.times > 1 {
		s += fmt.Sprintf(" (%d times)", r.times)
	}
	return s
}

func hint(r healthcheck.Result, target string, check spec.HealthCheck) string {
	switch r.Kind {
	case healthcheck.Refused:
		return "Nothing listens there: is the app up, on that port, and on all addresses (0.0.0.0), not only on localhost?"
	case healthcheck.TimedOut:
		return "The connection or the answer took too long: see the app's log, or give it more with --health-check-timeout (now " + check.Timeout.String() + ")."
	case healthcheck.NoSuchHost:
		return "Is the container running, and on the same network as the proxy?"
	case healthcheck.Answered:
		return hintByStatus(r, check)
	default:
		return ""
	}
}

func hintByStatus(r healthcheck.Result, check spec.HealthCheck) string {
	switch {
	case r.Status >= 300 && r.Status < 400:
		return "Only 2xx is healthy: let the app answer " + check.Path + " without a redirect (Rails: exclude it from force_ssl), or choose another --health-check-path."
	case r.Status == 400 || r.Status == 403 || r.Status == 421:
		return "The app may not know the host name it is asked by: allow it there, or set one with --health-check-host."
	case r.Status == 401:
		return "The health check has no credentials: let " + check.Path + " pass without, or choose another --health-check-path."
	case r.Status == 404:
		return "The app has no such path: choose another with --health-check-path."
	case r.Status >= 500:
		return "The app itself fails: see its log."
	default:
		return ""
	}
}
