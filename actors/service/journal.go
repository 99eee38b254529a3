package service

import (
	"time"

	"github.com/rs/zerolog"

	"kamal-proxy/actors/healthcheck"
	"kamal-proxy/actors/spec"
)

// The service's part of the log: what became of its orders, for whoever did
// not give them.

func (s *service) info() *zerolog.Event { return s.config.Log.Info().Str("service", s.config.Name) }
func (s *service) warn() *zerolog.Event { return s.config.Log.Warn().Str("service", s.config.Name) }

func (s *service) logSwitch(d *deploy) {
	s.info().Strs("targets", d.Targets).Strs("readers", d.Readers).
		Strs("hosts", s.committed.Options.Hosts).Bool("rollout", d.Slot == Rollout).Msg("Deployed")
}

func (s *service) logFailure(d *deploy, err error) {
	s.warn().Err(err).Strs("targets", d.Targets).Strs("readers", d.Readers).
		Bool("rollout", d.Slot == Rollout).Msg("Deploy failed")
}

func (s *service) logPause(o *Pause) { s.info().Stringer("max_pause", o.MaxPause).Msg("Paused") }
func (s *service) logStop(o *Stop)   { s.info().Str("message", o.Message).Msg("Stopped") }
func (s *service) logResume()        { s.info().Msg("Resumed") }

func (s *service) logCut(requests int) {
	s.warn().Int("requests", requests).Msg("Requests were cut off, because the time to drain was up")
}

func (s *service) logSplit(r *spec.Rollout) {
	if r == nil {
		s.info().Msg("Rollout stopped")
		return
	}
	s.info().Int("percent", r.Percentage).Int("listed", len(r.Allowlist)).Msg("Rollout set")
}

func (s *service) logHealth(t *target, r healthcheck.Result) {
	event := s.info()
	if !r.Healthy {
		event = s.warn()
	}
	event.Str("target", t.name).Bool("healthy", r.Healthy).Str("check", r.String()).Msg("Target health changed")
}

func (s *service) logEjection(t *target, length time.Duration) {
	s.warn().Str("target", t.name).Str("error", t.record.last).Int("failures", t.record.row).Stringer("for", length).
		Msg("Target keeps failing and gets no requests for a while")
}

func (s *service) logComeback(t *target) {
	s.info().Str("target", t.name).Msg("Target gets requests again, more and more of them")
}
