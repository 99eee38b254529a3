package cli

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"kamal-proxy/transport/control"
)

var aDeploy = []control.Step{
	{Stage: control.Parked},
	{Stage: control.Queued},
	{Stage: control.Checking, Target: "web-1:3000", Detail: "refused the connection"},
	{Stage: control.Checking, Target: "web-2:3000", Detail: "refused the connection"},
	{Stage: control.Checking, Target: "web-1:3000", Detail: "refused the connection"},
	{Stage: control.Checking, Target: "web-1:3000", Detail: "answered 301 to https://\x1b[2Jelsewhere"},
	{Stage: control.Healthy, Target: "web-1:3000", Detail: "answered 200"},
	{Stage: control.Healthy, Target: "web-2:3000", Detail: "answered 204"},
	{Stage: control.Switched},
	{Stage: control.Draining, InFlight: 3},
	{Stage: control.Draining, InFlight: 1},
	{Stage: control.Cut, InFlight: 1},
	{Stage: control.Drained},
}

// shown is what a person sees of the steps.
func shown(c *console, all []control.Step) string {
	var b bytes.Buffer
	c.err = &b
	if c.width == nil {
		c.width = func() int { return 0 }
	}
	s := c.steps("new requests go to web-1:3000, web-2:3000")
	s.elapsed = func() time.Duration { return 1234 * time.Millisecond }
	for _, step := range all {
		s.told(step)
	}
	return b.String()
}

func TestStepsOnATerminal(t *testing.T) {
	golden(t, "steps.golden", shown(&console{errTTY: true}, aDeploy))
	golden(t, "steps-plain.golden", shown(&console{errTTY: true, plain: true}, aDeploy))
}

func TestStepsAreForTerminalsOnly(t *testing.T) {
	if got := shown(&console{}, aDeploy); got != "" {
		t.Errorf("got %q", got)
	}
}

func TestStepsFitIntoTheTerminal(t *testing.T) {
	got := shown(&console{errTTY: true, plain: true, width: func() int { return 40 }}, aDeploy)
	for _, line := range strings.Split(got, "\n") {
		if n := len([]rune(line)); n > 40 {
			t.Errorf("%d columns: %s", n, line)
		}
	}
	if !strings.Contains(got, "…") {
		t.Errorf("nothing was shortened:\n%s", got)
	}
}
