package service

// Conclude is sent by the registry before it hands over: tell Idle as soon as no
// order is under way. A later Conclude replaces an earlier one.
type Conclude struct{ Turn uint64 }

// Idle says that no order is under way: no deploy, no change on its way to disk,
// no drain.
type Idle struct {
	Service uint64
	Turn    uint64 // of the Conclude
}

func (s *service) conclude() {
	if s.deploying == nil && len(s.queue) == 0 && s.claimed == nil && len(s.commits) == 0 && len(s.drains) == 0 {
		turn := s.concluding
		s.concluding = 0
		s.config.Tell(Idle{Service: s.config.ID, Turn: turn})
	}
}
