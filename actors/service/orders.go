package service

import (
	"errors"
	"time"

	"kamal-proxy/actors/spec"
)

// ErrNoService answers an order to a service that is not there: it never
// switched, or was removed. Its text is interface.
var ErrNoService = errors.New("service not found")

func (s *service) pausing(o *Pause) *commit {
	since := time.Now()
	return &commit{
		asker: o.Asker, what: Paused, drain: o.DrainTimeout,
		change: func(r *spec.Record) error {
			r.PauseController.State = spec.Paused
			r.PauseController.FailAfter = o.MaxPause
			return nil
		},
		apply: func(echo *Echo) {
			s.logPause(o)
			s.quieten(o.Asker, echo, since, o.DrainTimeout)
		},
		refuse: o.done,
	}
}

func (s *service) stopping(o *Stop) *commit {
	since := time.Now()
	return &commit{
		asker: o.Asker, what: Halted, drain: o.DrainTimeout,
		change: func(r *spec.Record) error {
			r.PauseController.State = spec.Stopped
			r.PauseController.StopMessage = o.Message
			return nil
		},
		apply: func(echo *Echo) {
			s.logStop(o)
			s.release(func(r *Route) { s.refuse(r, 0) })
			s.quieten(o.Asker, echo, since, o.DrainTimeout)
		},
		refuse: o.done,
	}
}

// quieten waits until the requests on the targets that serve have ended; a
// resume ends the wait. Those on targets that were replaced before are their
// own deploy's to wait for: a slow drain delays no other order.
func (s *service) quieten(a *Asker, echo *Echo, since time.Time, timeout time.Duration) {
	if s.drainsFor(a) {
		return // a panic came after it
	}
	s.notify(a, Progress{Stage: StageSwitched, Elapsed: time.Since(since)})
	s.drain(&drain{pools: s.serving(), echo: echo, asker: a, since: since, byGate: true, then: func() { a.done(nil) }}, timeout)
}

func (s *service) resuming(o *Resume) *commit {
	return &commit{
		asker: o.Asker, what: Resumed,
		change: func(r *spec.Record) error {
			r.PauseController.State = spec.Running
			return nil
		},
		apply: func(*Echo) {
			s.logResume()
			s.endDrains(func(d *drain) bool { return d.byGate && !d.severed })
			s.release(s.route)
			o.done(nil)
		},
		refuse: o.done,
	}
}

// endDrains ends those drains without cutting anything off.
func (s *service) endDrains(which func(*drain) bool) {
	var ended []*drain
	for _, d := range s.drains {
		if which(d) {
			ended = append(ended, d)
		}
	}
	for _, d := range ended {
		s.drained(d)
	}
}

func (s *service) splitting(o *Split) *commit {
	return &commit{
		asker: o.Asker, what: Divided,
		change: func(r *spec.Record) error {
			if o.Rollout != nil && len(r.RolloutTargets) == 0 {
				return ErrNoRollout
			}
			r.Rollout = o.Rollout
			return nil
		},
		apply: func(*Echo) {
			s.logSplit(o.Rollout)
			o.done(nil)
		},
		refuse: o.done,
	}
}

// remove ends everything but the requests under way, and when those have
// ended, the service. Those on targets that were replaced before have the same
// time, but nobody waits for them: that is their own deploy's.
func (s *service) remove(o *Remove) {
	s.removed, s.removal = true, o
	o.grant()
	s.endOrders(ErrRemoved)
	s.release(func(r *Route) { r.Refuse(404) })
	replaced, serving, others := s.retired, s.serving(), s.drains
	s.vacate()
	s.leaving = 2
	ended := func() {
		if s.leaving--; s.leaving == 0 {
			s.gone()
		}
	}
	s.drain(&drain{pools: serving, echo: o.Echo, asker: o.Asker, leaving: true, since: time.Now(), then: func() {
		o.done(nil)
		ended()
	}}, o.DrainTimeout)
	s.drain(&drain{pools: replaced, others: others, leaving: true, since: time.Now(), then: ended}, o.DrainTimeout)
}

// vacate retires the pools that serve.
func (s *service) vacate() {
	for i, p := range s.slots {
		if p != nil {
			s.slots[i] = nil
			s.retire(p)
		}
	}
}

// shutdown ends what waits: the proxy ends, and the listeners have seen to the
// requests.
func (s *service) shutdown() {
	s.removed, s.ending = true, true
	s.endOrders(ErrShutdown)
	s.quiesce()
	s.vacate()
	s.gone()
}

// quiesce answers what is held, and holds no more. Tunnels are told, too: they
// would not end by themselves.
func (s *service) quiesce() {
	s.closing = true
	s.release(func(r *Route) { s.refuse(r, retryAfter) })
	for _, p := range append(s.serving(), s.retired...) {
		s.sever(p, ErrReplaced, tunnels)
	}
}

// severAll cuts off whatever runs, because the proxy ends.
func (s *service) severAll() {
	n := 0
	for _, p := range append(s.serving(), s.retired...) {
		n += s.sever(p, ErrEnding, all)
	}
	if n > 0 {
		s.warn().Int("requests", n).Msg("Requests were cut off, because the proxy ends and their time was up")
	}
}

func (s *service) endOrders(err error) {
	queue := s.queue
	s.queue = nil
	if s.deploying != nil {
		s.failDeploy(s.deploying, err)
	}
	for _, d := range queue {
		s.endDeploy(d)
		d.done(err)
	}
	s.refuseAll(err)
}

// gone lets go of what is left: requests that do not end keep nobody waiting.
func (s *service) gone() {
	s.endDrains(func(*drain) bool { return true })
	for _, p := range s.retired {
		s.letGo(p)
	}
	s.retired = nil
	s.left = true
	s.config.Tell(Gone{Service: s.config.ID, Ended: s.ended})
}

// serving are the pools that take requests.
func (s *service) serving() []*pool {
	var pools []*pool
	for _, p := range s.slots {
		if p != nil {
			pools = append(pools, p)
		}
	}
	return pools
}
