package service

import "kamal-proxy/actors/spec"

// commit is a change of the service's record on its way to disk: first the
// registry keeps it (Claim), then it takes effect. One is with the registry at
// a time, the others wait; each is worked out from what is committed when its
// turn comes.
type commit struct {
	change func(*spec.Record) error // of a copy
	assets *Assets                  // that come with the change; nil: they stay
	apply  func()                   // it is on disk
	refuse func(error)              // it is not, and nothing has changed
}

func (s *service) commit(c *commit) {
	s.commits = append(s.commits, c)
	s.claim()
}

// claim takes the first commit to the registry.
func (s *service) claim() {
	for len(s.commits) > 0 && !s.claiming {
		c := s.commits[0]
		next := &spec.Record{Name: s.config.Name}
		if s.committed != nil {
			next = s.committed.Clone()
		}
		if err := c.change(next); err != nil {
			s.commits = s.commits[1:]
			c.refuse(err)
			continue
		}
		s.claimed, s.claiming = next, true
		s.config.Tell(Claim{Service: s.config.ID, Record: next})
	}
}

func (s *service) granted() {
	if !s.claiming {
		return
	}
	c := s.settled()
	if c.assets != nil {
		s.assets = *c.assets
	}
	s.adopt(s.claimed)
	c.apply()
	s.claim()
}

func (s *service) refused(err error) {
	if !s.claiming {
		return
	}
	s.settled().refuse(err)
	s.claim()
}

// settled takes the commit off the queue that the registry has decided on.
func (s *service) settled() *commit {
	c := s.commits[0]
	s.commits, s.claiming = s.commits[1:], false
	return c
}

// adopt makes a record the one that the service lives by.
func (s *service) adopt(r *spec.Record) {
	s.committed = r
	s.policy = &Policy{Options: r.Options, TargetOptions: r.TargetOptions, Assets: s.assets}
	s.gate.Gate = r.PauseController
}

// refuseAll ends every commit: the service is going.
func (s *service) refuseAll(err error) {
	commits := s.commits
	s.commits, s.claiming = nil, false
	for _, c := range commits {
		c.refuse(err)
	}
}
