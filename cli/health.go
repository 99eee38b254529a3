package cli

import (
	"cmp"
	"fmt"
	"strings"
	"time"

	"kamal-proxy/actors/spec"
	"kamal-proxy/transport/control"
)

// health says of a service's targets what is wrong with them, or that nothing
// is.
func health(targets []control.Condition) string {
	var wrong []string
	for _, t := range targets {
		if t.Health != control.Well {
			wrong = append(wrong, ailment(t))
		}
	}
	switch {
	case len(wrong) > 0:
		return strings.Join(wrong, "; ")
	case len(targets) > 0:
		return "ok"
	default:
		return "-"
	}
}

// ailment is one target's, such as "web-1:80 failing since 2026-01-02T15:04:05Z
// (3 in a row): connection refused".
func ailment(t control.Condition) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s %s", t.Target, t.Health)
	if t.Since != nil {
		fmt.Fprintf(&b, " since %s", t.Since.UTC().Format(time.RFC3339))
	}
	if t.Failures > 1 {
		fmt.Fprintf(&b, " (%d in a row)", t.Failures)
	}
	if t.Error != "" {
		fmt.Fprintf(&b, ": %s", t.Error)
	}
	return b.String()
}

func healthStyle(targets []control.Condition) style {
	painted := normal
	for _, t := range targets {
		switch t.Health {
		case control.Well:
		case control.Returning:
			painted = yellow
		default:
			return red
		}
	}
	return painted
}

func balancing(o spec.Options) string {
	way := cmp.Or(o.LoadBalancing, spec.RoundRobin)
	if o.Sticky {
		way += ",sticky"
	}
	return way
}
