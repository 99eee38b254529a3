package service

// restore takes up what the state file says: targets serve at once.
func (s *service) restore(m *Restore) {
	s.assets = m.Assets
	s.adopt(m.Record)
	s.slots[Active] = s.reopen(m.Record.ActiveTargets, m.Record.ActiveReaders)
	if len(m.Record.RolloutTargets) > 0 {
		s.slots[Rollout] = s.reopen(m.Record.RolloutTargets, m.Record.RolloutReaders)
	}
}

func (s *service) reopen(writers, readers []string) *pool {
	p, err := s.open(writers, readers, s.policy.TargetOptions)
	if err != nil {
		s.config.Log.Error().Err(err).Str("service", s.config.Name).Msg("Unable to restore the targets of a service, deploy it again")
		return nil
	}
	p.trust()
	s.serve(p)
	return p
}
