package service

import (
	"time"

	"kamal-proxy/actors/spec"
)

// Two processes serve while one hands over to the other. The successor has the
// orders; each that it grants, it passes on to the one before it, which Follows,
// and whose Echo its drain waits for.

// Follow is sent by the registry of a process that has handed over: become what
// the successor has committed. The rules are those of the order that it
// carried out there, but for health checks, which have been made. It is
// answered when what the order ends has ended.
type Follow struct {
	*Asker
	What         Change // not Removed: that is a Remove
	Record       *spec.Record
	Assets       Assets // of Deployed; else they stay
	DrainTimeout time.Duration
	Echo         *Echo
}

// Echo is an order's effect in the process before this one. A drain waits for
// it as for one more lease.
type Echo struct{ over bool }

// Echoed says that the process before this one has nothing left of what the
// order ended.
type Echoed struct{ *Echo }

func (e *Echo) waits() bool { return e != nil && !e.over }

func (s *service) echoed(e *Echo) {
	e.over = true
	s.settle()
}

// follow carries out the order that the successor has granted.
func (s *service) follow(m *Follow) {
	if !s.handedOver {
		s.handedOver = true
		s.config.Log = s.config.Log.With().Bool("handed_over", true).Logger()
	}
	if s.committed == nil {
		s.restore(&Restore{Record: m.Record, Assets: m.Assets})
		s.drain(&drain{echo: m.Echo, asker: m.Asker, since: time.Now(), then: func() { m.done(nil) }}, m.DrainTimeout)
		return
	}
	c, err := s.followed(m)
	if err != nil {
		m.done(err)
		return
	}
	assets := s.assets
	if m.What == Deployed {
		assets = m.Assets
	}
	s.claimed = &claimed{c, m.Record, assets}
	s.granted(m.Echo)
}

// followed makes the commit of the order that led to a record.
func (s *service) followed(m *Follow) (*commit, error) {
	gate := m.Record.PauseController
	switch m.What {
	case Paused:
		return s.pausing(&Pause{Asker: m.Asker, DrainTimeout: m.DrainTimeout, MaxPause: gate.FailAfter}), nil
	case Halted:
		return s.stopping(&Stop{Asker: m.Asker, DrainTimeout: m.DrainTimeout, Message: gate.StopMessage}), nil
	case Resumed:
		return s.resuming(&Resume{Asker: m.Asker}), nil
	case Divided:
		return s.splitting(&Split{Asker: m.Asker, Rollout: m.Record.Rollout}), nil
	default:
		return s.redeploying(m)
	}
}

// redeploying is a deploy whose targets are trusted: the successor has seen
// that they are healthy.
func (s *service) redeploying(m *Follow) (*commit, error) {
	d := &deploy{since: time.Now(), Deploy: &Deploy{Asker: m.Asker, How: spec.Deployment{DrainTimeout: m.DrainTimeout}}}
	d.Targets, d.Readers = m.Record.ActiveTargets, m.Record.ActiveReaders
	if m.What == RolledOut {
		d.Slot, d.Targets, d.Readers = Rollout, m.Record.RolloutTargets, m.Record.RolloutReaders
	}
	pool, err := s.open(d.Targets, d.Readers, m.Record.TargetOptions)
	if err != nil {
		return nil, err
	}
	pool.trust()
	d.pool = pool
	return &commit{asker: m.Asker, apply: func(echo *Echo) { s.switchTo(d, echo) }}, nil
}

// change is what a deploy to the slot makes of its service.
func (s Slot) change() Change {
	if s == Rollout {
		return RolledOut
	}
	return Deployed
}
