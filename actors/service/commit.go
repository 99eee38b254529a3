package service

import (
	"time"

	"kamal-proxy/actors/spec"
)

// commit is a change of the service's record on its way to disk: first the
// registry keeps it (Claim), then it takes effect. One is with the registry at
// a time, the others wait; each is worked out from what is committed when its
// turn comes.
type commit struct {
	asker  *Asker
	what   Change
	drain  time.Duration            // how long what it ends may take; 0 where nothing drains
	change func(*spec.Record) error // of a copy
	assets *Assets                  // that come with the change; nil: they stay
	apply  func(*Echo)              // it is on disk; called again where a panic met it
	refuse func(error)              // it is not, and nothing has changed
}

// claimed is a commit that is with the registry, and what it is to become.
type claimed struct {
	*commit
	record *spec.Record
	assets Assets
}

func (s *service) commit(c *commit) {
	s.commits = append(s.commits, c)
	s.claim()
}

// claim takes the next commit to the registry.
func (s *service) claim() {
	for len(s.commits) > 0 && s.claimed == nil {
		c := s.commits[0]
		s.commits = s.commits[1:]
		next := &spec.Record{Name: s.config.Name}
		if s.committed != nil {
			next = s.committed.Clone()
		}
		if err := c.change(next); err != nil {
			c.refuse(err)
			continue
		}
		assets := s.assets
		if c.assets != nil {
			assets = *c.assets
		}
		s.claimed = &claimed{c, next, assets}
		s.config.Tell(Claim{Service: s.config.ID, What: c.what, Record: next, Assets: assets, DrainTimeout: c.drain})
	}
}

func (s *service) granted(echo *Echo) {
	c := s.claimed
	if c == nil {
		return
	}
	s.claimed = nil
	c.asker.grant()
	s.granting = func() {
		s.assets = c.assets
		s.adopt(c.record)
		c.apply(echo)
	}
	s.granting()
	s.granting = nil
	s.claim()
}

func (s *service) refused(err error) {
	c := s.claimed
	if c == nil {
		return
	}
	s.claimed = nil
	c.refuse(err)
	s.claim()
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
	if s.claimed != nil {
		commits = append([]*commit{s.claimed.commit}, commits...)
	}
	s.commits, s.claimed = nil, nil
	for _, c := range commits {
		c.refuse(err)
	}
}
