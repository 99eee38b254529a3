package service

import (
	"slices"
	"time"

	"kamal-proxy/actors/healthcheck"
	"kamal-proxy/actors/system"
)

// What becomes of a target that serves:
//
//	ready --keeps failing--> ejected --time is up--> returning --ten steps--> ready
//	returning --fails once--> ejected
//	any --checks say no--> unhealthy --checks say yes--> returning

// failed notes that a target did not answer a request, and takes it out of the
// rotation if it keeps failing and another one is there. What was sent to it
// before its last ejection tells nothing new.
func (s *service) failed(l *Lease, why string) {
	p, t, now := l.pool, l.target, time.Now()
	keeps := t.record.failure(now, why)
	returning := t.withheld > 0
	if p.retired || t.ejected || l.era != t.record.ejections || !keeps && !returning || !p.spares(t) {
		return
	}
	length := t.record.eject(now)
	t.ejected, t.withheld = true, 0
	p.arrange()
	s.comeBackIn(length, p, t)
	s.logEjection(t, length)
	if s.config.Ejected != nil {
		s.self.Protect(func() { s.config.Ejected(s.config.Name) })
	}
}

// spares reports whether others can take what t gets. Writers stand in for
// readers, but not the other way round.
func (p *pool) spares(t *target) bool {
	able := func(other *target) bool { return other != t && other.healthy && !other.ejected }
	if slices.ContainsFunc(p.writers.targets, able) {
		return true
	}
	return !slices.Contains(p.writers.targets, t) && slices.ContainsFunc(p.readers.targets, able)
}

// changed notes what the checks of a target that serves have found out.
func (s *service) changed(p *pool, t *target, result healthcheck.Result) {
	t.unwell = nil
	if !result.Healthy {
		t.unwell = &ailment{time.Now(), result.String()}
	} else if !t.ejected && !p.retired {
		s.comeBackNow(p, t)
	}
	p.arrange()
}

// ailment is why a target's checks fail.
type ailment struct {
	since time.Time
	why   string
}

// comeBackNow gives a target the first share of its turns.
func (s *service) comeBackNow(p *pool, t *target) {
	t.ejected, t.withheld, t.credit = false, fullShare-1, 0
	s.comeBackIn(returnStep, p, t)
}

func (s *service) comeBackIn(d time.Duration, p *pool, t *target) {
	t.generation++
	system.After(s.self, d, Message(comeback{p, t, t.generation}))
}

// comeBack is the next step of a target's way back.
func (s *service) comeBack(m comeback) {
	p, t := m.pool, m.target
	switch {
	case p.retired || m.generation != t.generation:
	case t.ejected:
		s.comeBackNow(p, t)
		p.arrange()
		s.logComeback(t)
	default:
		if t.withheld--; t.withheld > 0 {
			s.comeBackIn(returnStep, p, t)
		}
	}
}
