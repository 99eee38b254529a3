package service

import "time"

// tries are the targets that a request was sent to before.
type tries [2]*target

func (t tries) has(x *target) bool { return t[0] == x || t[1] == x }

// and adds one more, or reports that there were enough.
func (t tries) and(x *target) (more tries, ok bool) {
	switch {
	case t[0] == nil:
		t[0] = x
	case t[1] == nil:
		t[1] = x
	default:
		return t, false
	}
	return t, true
}

// again finds another target for a request that the one it had did not answer.
// The answer is a lease in the place of the old one, or none.
func (s *service) again(r *Route) {
	old := r.failed
	s.failed(old, r.failure)
	p, from, t := s.elsewhere(old, r)
	if t == nil || old.severed || !s.budget.take(time.Now(), s.underWay) {
		s.respond(r, 502)
		return
	}
	v := s.verdict(r, Forward)
	if v == nil { // its client has gone, and the old lease is finished
		return
	}
	l := s.lease(p, t, r.Cut)
	l.tried, _ = old.tried.and(old.target)
	v.Target, v.TargetName, v.Lease = t.upstream, t.name, l
	v.Others = !p.retired && l.tried[1] == nil && len(from.ready) > 2
	// A client whose target is still there comes back to it.
	if s.policy.Options.Sticky && !p.retired && from.named(r.Sticky) == nil {
		v.Stick = from.stick(r.Sticky, t)
	}
	s.deliver(r)
	s.takeBack(old)
}

// elsewhere chooses the target for a request that failed: one of its pool that
// was not tried, of the pool that has replaced it, or, if the request was never
// sent, of the pool before, while that is warm. nil: there is none.
func (s *service) elsewhere(old *Lease, r *Route) (*pool, *rotation, *target) {
	tried, ok := old.tried.and(old.target)
	p := old.pool
	if p.retired {
		p = s.poolFor(&r.Facts)
	}
	if !ok || p == nil {
		return nil, nil, nil
	}
	if from, t := p.other(&r.Facts, s.policy, tried); t != nil {
		return p, from, t
	}
	before := p.before
	if !r.unsent || !before.warm() {
		return nil, nil, nil
	}
	from, t := before.other(&r.Facts, s.policy, tried)
	return before, from, t
}

// warm reports whether a pool that was replaced can still take a request.
func (p *pool) warm() bool { return p != nil && !p.closed && !p.cold }

// other returns a target that was not tried: a reader for reads, where there is
// one, else a writer.
func (p *pool) other(f *Facts, policy *Policy, tried tries) (*rotation, *target) {
	from := p.rotation(f, policy)
	if t := from.other(tried); t != nil || from == &p.writers {
		return from, t
	}
	return &p.writers, p.writers.other(tried)
}
