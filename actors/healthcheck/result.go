package healthcheck

import (
	"fmt"
	"time"
)

// String says in a few words what the target answered.
func (r Result) String() string {
	switch r.Kind {
	case Answered:
		s := fmt.Sprintf("answered %d", r.Status)
		if r.Detail != "" {
			s += " " + r.Detail
		}
		if r.Location != "" {
			s += " to " + r.Location
		}
		return s
	case Refused:
		return "refused the connection"
	case TimedOut:
		return "did not answer within " + r.Took.Round(10*time.Millisecond).String()
	case NoSuchHost:
		return "has a name that does not resolve"
	default:
		return "failed: " + r.Detail
	}
}
