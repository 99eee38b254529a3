package service

import (
	"time"

	"kamal-proxy/actors/healthcheck"
	"kamal-proxy/actors/spec"
	"kamal-proxy/actors/system"
)

// Message is what a service takes. All of it comes through the registry, but
// for Finish, Leave and Upgraded (from the request they belong to), Checked
// and the service's own timers.
type Message interface{ serviceMessage() }

// Order is what an operator may ask of one service. It is answered when it
// has been carried out, after its effect is on disk.
type Order interface {
	Message
	system.Question
	// Asking gives the caller's side of the order.
	Asking() *Asker
}

// Asker is who gave an order: its one answer, and its progress on the way.
// Orders embed it. An accepted order goes on when its caller leaves.
type Asker struct {
	*system.Reply[struct{}]
	// Notify is told the order's progress; it must not wait. nil: nobody
	// listens.
	Notify func(Progress)

	granted bool // its effect is on disk
}

// Asking implements Order.
func (a *Asker) Asking() *Asker { return a }

// grant notes that the order's effect is on disk: it cannot fail any more.
func (a *Asker) grant() {
	if a != nil {
		a.granted = true
	}
}

func (a *Asker) done(err error) {
	if a != nil {
		a.Answer(struct{}{}, err)
	}
}

// Deploy puts new targets in the place of a slot's, once they are healthy.
// Slot Rollout takes its options from what is committed.
type Deploy struct {
	*Asker
	Slot          Slot
	Options       spec.Options
	TargetOptions spec.TargetOptions
	Targets       []string // writers, as given
	Readers       []string
	How           spec.Deployment
	Assets        Assets
}

// Pause makes requests wait, and waits until those under way have ended.
type Pause struct {
	*Asker
	DrainTimeout time.Duration
	MaxPause     time.Duration // then a waiting request gets 504
}

// Stop answers requests with 503, and waits until those under way have ended.
type Stop struct {
	*Asker
	DrainTimeout time.Duration
	Message      string // shown on the page
}

// Resume ends a pause or a stop. Waiting requests go on in the order in which
// they came.
type Resume struct{ *Asker }

// Split sets who is sent to the rollout targets; nil ends the rollout.
type Split struct {
	*Asker
	Rollout *spec.Rollout
}

// Remove is sent by the registry in the Receive that takes the hosts away:
// what waits is answered 404, what runs is drained, then comes Gone.
type Remove struct {
	*Asker
	DrainTimeout time.Duration
	Echo         *Echo
}

// Restore is sent by the registry at start, before anything else: the state
// file's entry. Its targets take traffic at once.
type Restore struct {
	Record *spec.Record
	Assets Assets
}

// Granted is the registry's yes to a Claim: the record is on disk, and the
// hosts are the service's from the next message on.
type Granted struct{ Echo *Echo }

// Refused is the registry's no to a Claim. Nothing has changed.
type Refused struct{ Err error }

// Shutdown is sent by the registry when the proxy ends: what waits is answered
// 503, checks end, orders fail. What runs is left to its listeners. Then Gone.
type Shutdown struct{}

// Quiesce is sent by the registry when the proxy begins to end: what waits is
// answered 503, nothing waits any more, and tunnels are ended.
type Quiesce struct{}

// Sever is sent by the registry when the proxy's time to end is up: what still
// runs is cut off.
type Sever struct{}

// Inspect asks how the targets that serve are. The registry forwards it.
type Inspect struct {
	*system.Reply[[]Condition]
}

// Upgraded says that this lease became a tunnel. If its target is draining it
// is cut at once.
type Upgraded struct{ *Lease }

// Finish is a request's goodbye. The lease must not be touched afterwards.
type Finish struct{ *Lease }

// Leave says that the client of a held Route is gone. The Route's asker has
// abandoned it and does not use it again.
type Leave struct{ *Route }

type (
	checked struct{ healthcheck.Checked }
	// The service's own timers; a stale generation is ignored.
	deployTimeout struct{ generation int }
	drainTimeout  struct{ *drain }
	sweepDue      struct{ generation int }
	comeback      struct {
		pool       *pool
		target     *target
		generation int
	}
)

func (*Route) serviceMessage()        {}
func (*Deploy) serviceMessage()       {}
func (*Pause) serviceMessage()        {}
func (*Stop) serviceMessage()         {}
func (*Resume) serviceMessage()       {}
func (*Split) serviceMessage()        {}
func (*Remove) serviceMessage()       {}
func (*Restore) serviceMessage()      {}
func (*Follow) serviceMessage()       {}
func (Echoed) serviceMessage()        {}
func (Conclude) serviceMessage()      {}
func (Granted) serviceMessage()       {}
func (Refused) serviceMessage()       {}
func (Quiesce) serviceMessage()       {}
func (Sever) serviceMessage()         {}
func (Shutdown) serviceMessage()      {}
func (Upgraded) serviceMessage()      {}
func (Finish) serviceMessage()        {}
func (Leave) serviceMessage()         {}
func (*checked) serviceMessage()      {}
func (deployTimeout) serviceMessage() {}
func (drainTimeout) serviceMessage()  {}
func (sweepDue) serviceMessage()      {}
func (comeback) serviceMessage()      {}
func (Inspect) serviceMessage()       {}

// Event is what a service tells the registry.
type Event interface{ serviceEvent() }

// Claim asks the registry to commit a change: to keep Record on disk and,
// where the hosts changed, to route them here. One is under way at a time; it
// is answered by Granted or Refused.
type Claim struct {
	Service      uint64 // the ID of Config
	What         Change
	Record       *spec.Record
	Assets       Assets        // what Record names, loaded
	DrainTimeout time.Duration // of the order; 0 where nothing drains
}

// Gone says that the service has nothing left to do: it was removed and has
// drained, or it never switched and its last deploy failed. Ended is the number
// of deploys that it has been given and has ended; the registry lets it go if
// it has given no other.
type Gone struct {
	Service uint64
	Ended   int
}

func (Claim) serviceEvent() {}
func (Gone) serviceEvent()  {}
func (Idle) serviceEvent()  {}

// Slot is a place for targets.
type Slot int

const (
	Active Slot = iota
	Rollout
)

// Change is what an order makes of a service.
type Change int

const (
	Deployed  Change = iota // it has new active targets
	RolledOut               // it has new rollout targets
	Divided                 // others are sent to the rollout targets, or nobody is
	Paused
	Halted // it is stopped
	Resumed
	Removed
)

// Assets are what a service's options name and what was loaded for it before
// the order reached an actor: opaque here, known to transport.
type Assets struct {
	Pages       any // error pages of its own
	Certificate any // of its own
	Roots       any // to trust for its certificate authority
}

// Progress is one step of an order, for its caller's eyes.
type Progress struct {
	Stage    Stage         `json:"stage"`
	Target   string        `json:"target,omitempty"`
	Detail   string        `json:"detail,omitempty"`   // in words
	Elapsed  time.Duration `json:"elapsed"`            // since the order was accepted
	InFlight int           `json:"inFlight,omitempty"` // requests that a drain still waits for
}

// Stage names the steps of an order.
type Stage string

const (
	StageParked   Stage = "parked"   // waits for an upgrade of the proxy to end, one way or the other
	StageQueued   Stage = "queued"   // waits for another deploy of the service to switch
	StageChecking Stage = "checking" // a check said no; Detail says what it said
	StageHealthy  Stage = "healthy"  // a target is healthy
	StageSwitched Stage = "switched" // new requests go to the new targets, or are held or refused
	StageDraining Stage = "draining" // waits for requests under way
	StageCut      Stage = "cut"      // the drain's time was up: InFlight were cut off
	StageDrained  Stage = "drained"  // none was left
)

// Ref is a service's address.
type Ref = system.Ref[Message]
