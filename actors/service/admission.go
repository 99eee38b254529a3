package service

import (
	"time"

	"kamal-proxy/actors/spec"
	"kamal-proxy/actors/system"
)

// route decides on a request, or lets it wait.
func (s *service) route(r *Route) {
	if insecure(&r.Facts) {
		r.Answer(s.respond(503))
		return
	}
	if scheme, host, needed := redirect(&r.Facts); needed {
		v := s.respond(301)
		v.Action, v.Scheme, v.Host = Redirect, scheme, host
		r.Answer(v)
		return
	}
	switch {
	case s.gate.State == spec.Running:
		s.grant(r)
	case s.asksHealth(&r.Facts):
		r.Answer(s.respond(200))
	case s.gate.State == spec.Stopped:
		r.Answer(s.unavailable(0))
	default:
		s.hold(r)
	}
}

// grant leases a target to a request.
func (s *service) grant(r *Route) {
	p := s.poolFor(&r.Facts)
	t := p.pick(func() bool { return reads(&r.Facts, s.policy, time.Now()) })
	if t == nil {
		r.Answer(s.respond(503))
		return
	}
	l := s.lease(p, t, r.Cut)
	v := Verdict{
		Action: Forward, Service: s.config.Name, Policy: s.policy,
		Target: t.upstream, TargetName: t.name, Lease: l,
		KeepToWriter: len(p.readers.targets) > 0 && writes(&r.Facts, s.policy),
	}
	if s.policy.Options.StripPrefix && r.Prefix != "/" {
		v.Prefix = r.Prefix
	}
	if !r.Answer(v) {
		s.finish(l)
	}
}

func (s *service) poolFor(f *Facts) *pool {
	if rollout := s.slots[Rollout]; rollout != nil && s.committed.Rollout != nil && s.committed.Rollout.Includes(f.Rollout) {
		return rollout
	}
	return s.slots[Active]
}

func (s *service) lease(p *pool, t *target, cut func(error)) *Lease {
	l := s.spare
	if l == nil {
		l = &Lease{}
	} else {
		s.spare = l.next
	}
	*l = Lease{pool: p, target: t, cut: cut}
	p.leases.add(l)
	return l
}

// finish takes a lease back.
func (s *service) finish(l *Lease) {
	p := l.pool
	p.leases.remove(l)
	*l = Lease{next: s.spare}
	s.spare = l
	if p.leases.count == 0 {
		s.tidy(p)
		s.settle()
	}
}

func (s *service) upgraded(l *Lease) {
	l.tunnel = true
	if (l.pool.retired || s.gate.State != spec.Running) && !l.severed {
		s.cutOff(l, ErrReplaced)
	}
}

func (s *service) hold(r *Route) {
	if s.closing || !s.gate.hold(r, time.Now(), s.config.MaxHeld) {
		r.Answer(s.unavailable(retryAfter))
		return
	}
	if s.sweeper.generation == 0 || r.deadline.Before(s.sweeper.due) {
		s.armSweep()
	}
}

// release answers all that wait, in the order in which they came.
func (s *service) release(answer func(*Route)) {
	for {
		r := s.gate.shift()
		if r == nil {
			return
		}
		answer(r)
	}
}

// sweeper is the one timer of all requests that wait.
type sweeper struct {
	generation int // 0: it is not set
	due        time.Time
}

// armSweep sets the timer that answers those that have waited too long.
func (s *service) armSweep() {
	deadline, any := s.gate.next()
	if !any {
		s.sweeper = sweeper{}
		return
	}
	s.generation++
	s.sweeper = sweeper{s.generation, deadline}
	system.After(s.self, max(0, time.Until(deadline)), Message(sweepDue{s.generation}))
}

func (s *service) sweep(generation int) {
	if generation != s.sweeper.generation {
		return
	}
	for _, r := range s.gate.expired(time.Now()) {
		r.Answer(s.respond(504))
	}
	s.armSweep()
}

// asksHealth reports whether this is a load balancer's health check, which is
// answered while the app cannot.
func (s *service) asksHealth(f *Facts) bool {
	if f.Method != "GET" && f.Method != "HEAD" {
		return false
	}
	path := f.Path
	if s.policy.Options.StripPrefix && f.Prefix != "/" {
		path = stripPrefix(path, f.Prefix)
	}
	return path == pathOnly(s.policy.TargetOptions.HealthCheck.Path)
}

func (s *service) respond(status int) Verdict {
	return Verdict{Action: Respond, Service: s.config.Name, Policy: s.policy, Status: status}
}

func (s *service) unavailable(retry time.Duration) Verdict {
	v := s.respond(503)
	v.RetryAfter = retry
	if s.gate.State == spec.Stopped {
		v.Message = s.gate.StopMessage
	}
	return v
}
