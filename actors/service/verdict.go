package service

import (
	"errors"
	"time"

	"kamal-proxy/actors/spec"
)

// Verdict is the answer to a Route: what to do with the request. It is a plain
// value; what it points to is immutable.
type Verdict struct {
	Action  Action
	Service string  // its name; empty: no service has this host and path
	Policy  *Policy // of the service; nil: as Service is empty

	// Forward
	Target       Upstream
	TargetName   string // as given to deploy
	Lease        *Lease
	Prefix       string // to strip from the path; empty: none
	KeepToWriter bool   // set the writer cookie on the response
	Others       bool   // another target could be asked, if this one does not answer
	Stick        string // what to set the sticky cookie to; empty: leave it

	// Redirect: to the same path and query
	Scheme, Host string

	// Respond
	Status     int
	Message    string        // for the page
	RetryAfter time.Duration // 0: no such header
}

// Action is what a Verdict asks for.
type Action int

const (
	// Respond: answer with Status and its page; 200 is an empty page.
	Respond Action = iota
	// Forward: send the request to Target and say goodbye with Finish.
	Forward
	// Redirect: 301 to Scheme and Host.
	Redirect
)

// Policy is what a service's requests are handled by, as of its last commit.
type Policy struct {
	Options       spec.Options
	TargetOptions spec.TargetOptions
	Assets        Assets
}

// Upstream is a target as transport knows it. It is made by Config.Connect and
// closed by the service when no request is on it any more, or when the service
// goes and does not wait for the last of them.
type Upstream interface {
	// Close closes what is idle, and makes all else close when it ends.
	Close()
}

// Why a lease was cut off.
var (
	// ErrDrained: the target is drained, and the drain's time was up (504).
	ErrDrained = errors.New("the drain's time was up")
	// ErrEnding: the proxy ends, and the time for that was up (504).
	ErrEnding = errors.New("the proxy's time to end was up")
	// ErrReplaced: the lease is a tunnel to a target that takes no new
	// requests any more; tell both ends and close.
	ErrReplaced = errors.New("the target is being replaced")
)

// Lease is one request that is under way on a target. It belongs to the
// service; a request holds it from its Verdict to its Finish.
type Lease struct {
	pool     *pool
	target   *target
	cut      func(error)
	tunnel   bool
	severed  bool // it was cut off, and has not said goodbye yet
	tried    tries
	era      int // ejections of the target before
	previous *Lease
	next     *Lease

	// The request's, and read once it has said goodbye.
	answered bool
	failure  string
}
