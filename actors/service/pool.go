package service

import (
	"fmt"
	"slices"
	"time"

	"kamal-proxy/actors/healthcheck"
	"kamal-proxy/actors/spec"
	"kamal-proxy/actors/system"
)

// pool is the targets of one deploy, and the leases on them. It is warming,
// then in a slot, then retired: closed to new requests, and gone with its last
// lease.
//
//	warming --granted--> active or rollout --replaced--> retired --empty--> closed
type pool struct {
	service Ref
	writers rotation
	readers rotation
	leases  leases
	before  *pool // the one that it has replaced, or nil
	checked bool  // its checks have begun
	retired bool  // takes no new requests any more
	cold    bool  // and the time of its drain is up
	closed  bool  // and its targets are let go
}

// target is one instance of the app.
type target struct {
	id       uint64 // of its health check's results
	name     string // as given to deploy
	upstream Upstream
	options  spec.HealthCheck
	probe    healthcheck.Check
	check    healthcheck.Ref // nobody's until its checks begin
	healthy  bool
	reports  reports
	unwell   *ailment // by its checks, while it serves; nil: it is well

	token      string // its name for sticky clients
	underWay   int    // leases
	record     record
	ejected    bool
	withheld   int // tenths of its turns that it does not get yet
	credit     int // of the others
	generation int // of the timer that brings it back
}

func (p *pool) targets(yield func(*target) bool) {
	for _, t := range p.writers.targets {
		if !yield(t) {
			return
		}
	}
	for _, t := range p.readers.targets {
		if !yield(t) {
			return
		}
	}
}

// lone reports whether the pool has one target: it is never taken out, and not
// checked any more once it serves.
func (p *pool) lone() bool {
	return len(p.writers.targets)+len(p.readers.targets) == 1
}

// trust takes all targets for healthy until a check says otherwise.
func (p *pool) trust() {
	for t := range p.targets {
		t.healthy = true
	}
	p.arrange()
}

func (p *pool) healthy() bool {
	for t := range p.targets {
		if !t.healthy {
			return false
		}
	}
	return true
}

// arrange works out who takes a turn.
func (p *pool) arrange() {
	p.writers.arrange(false)
	p.readers.arrange(len(p.writers.ready) > 0)
}

// rotation returns those that are asked for a request: the readers for reads,
// as long as one is healthy, else the writers.
func (p *pool) rotation(f *Facts, policy *Policy) *rotation {
	if len(p.readers.ready) > 0 && reads(f, policy, time.Now()) {
		return &p.readers
	}
	return &p.writers
}

// watched is a target whose checks are under way, found by their ID.
type watched struct {
	target *target
	pool   *pool
}

// open makes a pool. Its targets are not checked and take no traffic yet.
func (s *service) open(writers, readers []string, options spec.TargetOptions) (*pool, error) {
	p := &pool{service: s.self}
	s.pools = append(s.pools, p)
	for i, name := range append(slices.Clone(writers), readers...) {
		t, err := s.target(name, options)
		if err != nil {
			s.retire(p)
			return nil, err
		}
		s.watched[t.id] = &watched{t, p}
		if i < len(writers) {
			p.writers.targets = append(p.writers.targets, t)
		} else {
			p.readers.targets = append(p.readers.targets, t)
		}
	}
	return p, nil
}

func (s *service) target(name string, options spec.TargetOptions) (*target, error) {
	s.lastTarget++
	t := &target{id: s.lastTarget, name: name, options: options.HealthCheck}
	err := fmt.Errorf("unable to use the target %s: %w", name, system.ErrCrashed)
	s.self.Protect(func() {
		t.probe = s.config.Check(name, options.HealthCheck)
		t.upstream, err = s.config.Connect(name, options)
	})
	return t, err
}

// check begins to check a pool's targets, once.
func (s *service) check(p *pool) {
	if p.checked {
		return
	}
	p.checked = true
	for t := range p.targets {
		t.check = healthcheck.Spawn(s.config.System, healthcheck.Config{
			ID:       t.id,
			Interval: t.options.Interval,
			Timeout:  t.options.Timeout,
			Check:    t.probe,
			Tell:     func(c healthcheck.Checked) { s.self.Tell(&checked{c}) },
		})
		t.check.Tell(healthcheck.Begin{})
	}
}

// serve puts a pool into its slot's place in the life of its targets: a lone
// one is not checked any more, several are checked on.
func (s *service) serve(p *pool) {
	p.arrange()
	for t := range p.targets {
		t.token = token(s.policy.Options.StickyKey, t.name)
	}
	if p.lone() {
		p.trust()
		s.unwatch(p)
		return
	}
	s.check(p)
	for t := range p.targets {
		t.reports = nil
		t.check.Tell(healthcheck.Settle{})
	}
}

// retire closes a pool to new requests and ends its checks.
func (s *service) retire(p *pool) {
	p.retired, p.before = true, nil
	if !p.closed && !slices.Contains(s.retired, p) {
		s.retired = append(s.retired, p)
	}
	s.unwatch(p)
	s.tidy(p)
}

// sharing returns the retired pools that have a target of p, p among them: a
// target may have been deployed anew before it was replaced.
func (s *service) sharing(p *pool) []*pool {
	pools := []*pool{p}
	for _, q := range s.retired {
		if q != p && q.has(p) {
			pools = append(pools, q)
		}
	}
	return pools
}

// has reports whether two pools have a target in common.
func (p *pool) has(other *pool) bool {
	for t := range p.targets {
		for o := range other.targets {
			if t.name == o.name {
				return true
			}
		}
	}
	return false
}

// tidy lets a retired pool's targets go once nobody is on them.
func (s *service) tidy(p *pool) {
	if !p.retired || p.closed || p.leases.count > 0 {
		return
	}
	s.retired = without(s.retired, p)
	s.letGo(p)
}

func (s *service) letGo(p *pool) {
	p.closed = true
	s.pools = without(s.pools, p)
	for t := range p.targets {
		s.self.Protect(t.upstream.Close)
	}
}

func (s *service) unwatch(p *pool) {
	for t := range p.targets {
		delete(s.watched, t.id)
		t.check.Tell(healthcheck.Halt{})
	}
}
