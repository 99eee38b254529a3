// Package service is one service: the gate before it, the targets that take
// its requests, the leases on them, and the deploys that replace them. Its
// actor is the lock that all of this needs; no bytes pass through it.
//
//	(new) --deploy granted--> running <--pause, stop, resume--> paused, stopped
//	any   --removed--> draining --empty--> (gone)
//
// What it is asked, it answers at once, or keeps the asker's reply and goes
// on: a request that waits for a resume, a deploy that waits for health, a
// drain that waits for leases are entries in its state. Nothing here blocks.
//
// A change of what is kept on disk is a commit (commit.go): it takes effect
// when the registry has granted it.
package service

import (
	"errors"
	"time"

	"github.com/rs/zerolog"

	"kamal-proxy/actors/healthcheck"
	"kamal-proxy/actors/spec"
	"kamal-proxy/actors/system"
)

// ErrShutdown ends the orders under way when the proxy ends.
var ErrShutdown = system.ErrStopped

var errNoTargets = errors.New("no target was given; name one with --target host:port")

// Config is what a service is made of.
type Config struct {
	ID     uint64
	Name   string
	System *system.System
	Log    zerolog.Logger
	// Tell is the way to the registry.
	Tell func(Event)
	// Connect makes a target's connections; nothing is dialed yet.
	Connect func(target string, o spec.TargetOptions) (Upstream, error)
	// Check makes the call that checks a target.
	Check func(target string, h spec.HealthCheck) healthcheck.Check
	// MaxHeld bounds the requests that wait during a pause.
	MaxHeld int
	// MaxInFlight bounds the requests under way; 0: nothing does.
	MaxInFlight int
	// Ejected is called when a target leaves the rotation; it must not wait.
	// nil: nobody counts.
	Ejected func(service string)
}

type service struct {
	config Config
	self   Ref

	committed *spec.Record // nil: never switched
	policy    *Policy
	assets    Assets
	gate      gate
	slots     [2]*pool
	retired   []*pool // that still have leases
	pools     []*pool // all that are not closed
	drains    []*drain

	deploying *deploy
	queue     []*deploy
	ended     int // deploys that switched or failed

	commits []*commit // that wait for their turn
	claimed *claimed  // the one that is with the registry, or nil

	orders   []*Asker // of orders, some of them answered
	owed     *Route   // that has a verdict, not delivered yet
	granting func()   // carries out what was granted, while that lasts

	watched    map[uint64]*watched
	lastTarget uint64
	generation int // of timers
	sweeper    sweeper
	spare      *Lease
	underWay   int // leases
	budget     budget
	concluding uint64 // the Conclude that is not answered yet, or 0
	handedOver bool   // the orders are another process's, and followed
	closing    bool   // the proxy ends: nothing is held any more
	removed    bool
	removal    *Remove
	leaving    int  // drains of the removal that are left
	ending     bool // the proxy ends: nothing is waited for
	left       bool // the registry was told that it is gone
}

// Spawn starts a service that has no targets yet.
func Spawn(config Config) Ref {
	return system.Spawn(config.System, "service", 64, func(self Ref) system.Receiver[Message] {
		return newService(config, self)
	})
}

func newService(config Config, self Ref) *service {
	return &service{config: config, self: self, watched: map[uint64]*watched{}, budget: budget{looked: time.Now()}}
}

// Receive implements system.Receiver.
func (s *service) Receive(m Message) {
	switch m := m.(type) {
	case *Route:
		s.route(m)
		return
	case Finish:
		s.finish(m.Lease)
	default:
		s.command(m)
	}
	if s.concluding != 0 {
		s.conclude()
	}
}

func (s *service) command(m Message) {
	if a := askerOf(m); a != nil {
		s.accept(a)
	}
	switch m := m.(type) {
	case Leave:
		s.gate.leave(m.Route)
	case Upgraded:
		s.upgraded(m.Lease)
	case *Deploy:
		s.order(m)
	case *Pause:
		s.commit(s.pausing(m))
	case *Stop:
		s.commit(s.stopping(m))
	case *Resume:
		s.commit(s.resuming(m))
	case *Split:
		s.commit(s.splitting(m))
	case *Remove:
		s.remove(m)
	case *Restore:
		s.restore(m)
	case *Follow:
		s.follow(m)
	case Echoed:
		s.echoed(m.Echo)
	case Conclude:
		s.concluding = m.Turn
	case Granted:
		s.granted(m.Echo)
	case Refused:
		s.refused(m.Err)
	case *checked:
		s.checked(m)
	case deployTimeout:
		s.deployTimeout(m.generation)
	case drainTimeout:
		s.timeUp(m.drain)
	case sweepDue:
		s.sweep(m.generation)
	case comeback:
		s.comeBack(m)
	case Inspect:
		s.inspect(m)
	case Quiesce:
		s.quiesce()
	case Sever:
		s.severAll()
	case Shutdown:
		s.shutdown()
	}
}

// notify tells a caller how far its order is.
func (s *service) notify(a *Asker, p Progress) {
	if a != nil && a.Notify != nil {
		s.self.Protect(func() { a.Notify(p) })
	}
}
