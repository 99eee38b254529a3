package healthcheck

import (
	"context"
	"time"
)

// Message is what a health check takes.
type Message interface{ healthcheckMessage() }

// Begin is sent by the service, once: check at once, then each interval.
type Begin struct{}

// Settle is sent by the service when the target takes traffic: refused
// connections are no longer tried again before the next check is due.
type Settle struct{}

// Halt is sent by the service: check no more. The check under way is given
// up, nothing is reported any more, and the actor ends.
type Halt struct{}

// probed comes from the check's own goroutine.
type probed struct {
	generation int
	result     Result
}

// due comes from the check's timer.
type due struct{ generation int }

func (Begin) healthcheckMessage()  {}
func (Settle) healthcheckMessage() {}
func (Halt) healthcheckMessage()   {}
func (probed) healthcheckMessage() {}
func (due) healthcheckMessage()    {}

// Checked is what a health check tells its service after each check.
type Checked struct {
	ID     uint64 // which check, as given in Config
	Result Result
}

// Result is what one check found out.
type Result struct {
	Healthy  bool
	Kind     Kind
	Status   int           // of the answer; 0: there was none
	Location string        // of a redirect that was not followed
	Detail   string        // the status in words, or the error
	Took     time.Duration // from the dial to the answer's head
}

// Kind sorts results by what a person would do about them.
type Kind int

const (
	Answered   Kind = iota // the target answered, with Status
	Refused                // nothing listens there
	TimedOut               // no answer within the check's time-out
	NoSuchHost             // the name does not resolve
	Failed                 // anything else, see Detail
)

// Check asks a target once. It is injected, since actors know no HTTP, and
// returns by itself when ctx ends.
type Check func(ctx context.Context) Result
