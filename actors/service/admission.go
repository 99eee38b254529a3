package service

import (
	"math/rand/v2"
	"time"

	"kamal-proxy/actors/spec"
	"kamal-proxy/actors/system"
)

// route decides on a request, or lets it wait.
func (s *service) route(r *Route) {
	switch {
	case r.failed != nil:
		s.again(r)
	case insecure(&r.Facts):
		s.respond(r, 503)
	case s.redirected(r):
	case s.gate.State == spec.Running:
		if s.grant(r) {
			s.deliver(r)
		}
	case s.asksHealth(&r.Facts):
		s.respond(r, 200)
	case s.gate.State == spec.Stopped:
		s.refuse(r, 0)
	default:
		s.hold(r)
	}
}

func (s *service) redirected(r *Route) bool {
	scheme, host, needed := redirect(&r.Facts)
	if !needed {
		return false
	}
	if v := s.verdict(r, Redirect); v != nil {
		v.Status, v.Scheme, v.Host = 301, scheme, host
		s.deliver(r)
	}
	return true
}

// grant leases a target to a request, and reports whether there is a verdict
// to deliver: not from here, where the stack is deep.
func (s *service) grant(r *Route) bool {
	s.budget.seen++
	if s.config.MaxInFlight > 0 && s.underWay >= s.config.MaxInFlight {
		s.refuse(r, retryAfter)
		return false
	}
	p := s.poolFor(&r.Facts)
	if p == nil {
		s.respond(r, 503)
		return false
	}
	from := p.rotation(&r.Facts, s.policy)
	t := from.pick(&s.policy.Options, r.Sticky, rand.IntN)
	if t == nil {
		s.respond(r, 503)
		return false
	}
	v := s.verdict(r, Forward)
	if v == nil {
		return false
	}
	v.Target, v.TargetName, v.Lease = t.upstream, t.name, s.lease(p, t, r.Cut)
	v.KeepToWriter = len(p.readers.targets) > 0 && writes(&r.Facts, s.policy)
	v.Others = len(from.ready) > 1 || from == &p.readers || p.before.warm()
	if s.policy.Options.StripPrefix && r.Prefix != "/" {
		v.Prefix = r.Prefix
	}
	if s.policy.Options.Sticky {
		v.Stick = from.stick(r.Sticky, t)
	}
	return true
}

// verdict returns the answer of a request, to be filled in and delivered, or
// nil if it needs none any more. It is filled in place: passed on by value, it
// would outgrow the stack that a woken actor begins with.
func (s *service) verdict(r *Route, a Action) *Verdict {
	if !r.win() {
		return nil
	}
	s.owed = r
	r.verdict.Action, r.verdict.Service, r.verdict.Policy = a, s.config.Name, s.policy
	return &r.verdict
}

func (s *service) respond(r *Route, status int) {
	if v := s.verdict(r, Respond); v != nil {
		v.Status = status
		s.deliver(r)
	}
}

// refuse answers 503, for now or while the service is stopped.
func (s *service) refuse(r *Route, retry time.Duration) {
	if v := s.verdict(r, Respond); v != nil {
		v.Status, v.RetryAfter = 503, retry
		if s.gate.State == spec.Stopped {
			v.Message = s.gate.StopMessage
		}
		s.deliver(r)
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
	*l = Lease{pool: p, target: t, cut: cut, era: t.record.ejections}
	p.leases.add(l)
	t.underWay++
	s.underWay++
	return l
}

// finish takes a lease back, and notes how the request went.
func (s *service) finish(l *Lease) {
	switch {
	case l.failure != "":
		s.self.Protect(func() { s.failed(l, l.failure) }) // the lease is taken back whatever it does
	case l.answered:
		l.target.record.answered()
	}
	s.takeBack(l)
}

func (s *service) takeBack(l *Lease) {
	p := l.pool
	p.leases.remove(l)
	l.target.underWay--
	s.underWay--
	*l = Lease{next: s.spare}
	s.spare = l
	if p.leases.count == 0 {
		s.tidy(p)
		s.settle()
	}
}

func (s *service) upgraded(l *Lease) {
	l.tunnel = true
	l.target.record.answered() // its goodbye may be hours away
	if (l.pool.retired || s.closing || s.gate.State != spec.Running) && !l.severed {
		s.cutOff(l, ErrReplaced)
	}
}

func (s *service) hold(r *Route) {
	if s.closing || !s.gate.hold(r, time.Now(), s.config.MaxHeld) {
		s.refuse(r, retryAfter)
		return
	}
	if s.sweeper.generation == 0 || r.deadline.Before(s.sweeper.due) {
		s.armSweep()
	}
}

// deliver hands over the verdict that is owed.
func (s *service) deliver(r *Route) {
	s.owed = nil
	r.deliver()
}

// release answers all that wait, in the order in which they came.
func (s *service) release(answer func(*Route)) {
	for r := s.gate.shift(); r != nil; r = s.gate.shift() {
		s.answer(r, answer)
	}
}

// answer answers one of several that waited: a panic costs that one.
func (s *service) answer(r *Route, answer func(*Route)) {
	ticket, answered := r.Ticket(), false
	s.self.Protect(func() {
		answer(r)
		answered = true
	})
	if !answered {
		s.payOff()
		ticket.Fail(system.ErrCrashed)
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
		s.answer(r, func(r *Route) { s.respond(r, 504) })
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
	return path == pathOnly(spec.WirePath(s.policy.TargetOptions.HealthCheck.Path))
}
