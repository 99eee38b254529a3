package service

import (
	"cmp"
	"crypto/rand"
	"slices"
	"time"

	"kamal-proxy/actors/healthcheck"
	"kamal-proxy/actors/spec"
	"kamal-proxy/actors/system"
)

// deploy is one Deploy order on its way.
//
//	queued --turn--> warming --all healthy--> claiming --granted--> (switched)
//	any of them --time up, refused, removed--> (failed)
type deploy struct {
	*Deploy
	pool       *pool
	old        *pool     // that it replaced
	since      time.Time // when it was accepted
	timer      *time.Timer
	generation int
	claiming   bool
	over       bool
}

// Deploys of one service queue until the switch; their drains go on beside the
// next.
func (s *service) order(d *Deploy) {
	if d.Slot == Rollout && s.committed == nil {
		s.ended++
		d.done(ErrNoService)
		return
	}
	s.queue = append(s.queue, &deploy{Deploy: d, since: time.Now()})
	if s.deploying != nil {
		s.notify(d.Asker, Progress{Stage: StageQueued})
	}
	s.nextDeploy()
}

func (s *service) nextDeploy() {
	for s.deploying == nil && len(s.queue) > 0 {
		d := s.queue[0]
		s.queue = s.queue[1:]
		s.warm(d)
	}
	if s.deploying == nil && s.committed == nil && !s.removed {
		s.config.Tell(Gone{Service: s.config.ID, Ended: s.ended})
	}
}

// warm makes the pool of a deploy and begins to check its targets.
func (s *service) warm(d *deploy) {
	s.deploying = d
	options := d.TargetOptions
	if d.Slot == Rollout {
		options = s.committed.TargetOptions
	}
	if len(d.Targets) == 0 {
		s.failDeploy(d, errNoTargets)
		return
	}
	pool, err := s.open(d.Targets, d.Readers, options)
	if err != nil {
		s.failDeploy(d, err)
		return
	}
	d.pool = pool
	if d.How.Force {
		pool.trust()
		s.commitDeploy(d)
		return
	}
	if d.How.DeployTimeout > 0 {
		s.generation++
		d.generation = s.generation
		d.timer = system.After(s.self, d.How.DeployTimeout, Message(deployTimeout{d.generation}))
	}
	s.check(pool)
}

// checked takes in what a health check found out.
func (s *service) checked(c *checked) {
	w := s.watched[c.ID]
	if w == nil {
		return
	}
	was := w.target.healthy
	w.target.healthy = c.Result.Healthy
	d := s.deploying
	if d == nil || d.pool != w.pool {
		if was != c.Result.Healthy {
			s.logHealth(w.target, c.Result)
			s.changed(w.pool, w.target, c.Result)
		}
		return
	}
	s.warming(d, w.target, c.Result)
}

func (s *service) warming(d *deploy, t *target, result healthcheck.Result) {
	elapsed := time.Since(d.since)
	if result.Healthy {
		s.notify(d.Asker, Progress{Stage: StageHealthy, Target: t.name, Detail: result.String(), Elapsed: elapsed})
		if d.pool.healthy() && !d.claiming {
			s.commitDeploy(d)
		}
		return
	}
	t.reports.add(result)
	s.notify(d.Asker, Progress{Stage: StageChecking, Target: t.name, Detail: result.String(), Elapsed: elapsed})
	if d.How.DeployTimeout <= 0 && !d.claiming { // one check decides
		s.failDeploy(d, s.diagnose(d))
	}
}

func (s *service) deployTimeout(generation int) {
	d := s.deploying
	if d != nil && d.generation == generation && !d.claiming {
		s.failDeploy(d, s.diagnose(d))
	}
}

func (s *service) diagnose(d *deploy) error {
	check := d.TargetOptions.HealthCheck
	if d.Slot == Rollout {
		check = s.committed.TargetOptions.HealthCheck
	}
	return diagnose(d.pool, check, d.How.DeployTimeout)
}

// commitDeploy takes the switch to the registry; from here on the time limit
// does not count any more.
func (s *service) commitDeploy(d *deploy) {
	d.claiming = true
	if d.timer != nil {
		d.timer.Stop()
	}
	c := &commit{
		asker: d.Asker, what: d.Slot.change(), drain: d.How.DrainTimeout,
		change: d.change,
		apply:  func(echo *Echo) { s.switchTo(d, echo) },
		refuse: func(err error) { s.failDeploy(d, err) },
	}
	if d.Slot == Active {
		c.assets = &d.Assets
	}
	s.commit(c)
}

// change writes the deploy into a copy of the service's record.
func (d *deploy) change(r *spec.Record) error {
	if d.Slot == Rollout {
		r.RolloutTargets, r.RolloutReaders = slices.Clone(d.Targets), slices.Clone(d.Readers)
		return nil
	}
	next := &spec.Record{Name: r.Name, Options: d.Options, TargetOptions: d.TargetOptions}
	next = next.Clone()
	next.CarryUnknown(r)
	if next.Options.Sticky {
		next.Options.StickyKey = cmp.Or(r.Options.StickyKey, rand.Text())
	}
	next.ActiveTargets, next.ActiveReaders = slices.Clone(d.Targets), slices.Clone(d.Readers)
	next.RolloutTargets, next.RolloutReaders, next.Rollout = r.RolloutTargets, r.RolloutReaders, r.Rollout
	next.PauseController = r.PauseController
	*r = *next
	return nil
}

// switchTo swaps the pools: every request routed before this message is on the
// old one, every later one goes to the new. Nothing makes the deploy fail any
// more.
func (s *service) switchTo(d *deploy, echo *Echo) {
	if s.slots[d.Slot] != d.pool {
		d.old, s.slots[d.Slot] = s.slots[d.Slot], d.pool
		d.pool.before = d.old
	}
	s.serve(d.pool)
	s.endDeploy(d)
	s.notify(d.Asker, Progress{Stage: StageSwitched, Elapsed: time.Since(d.since)})
	s.logSwitch(d)
	s.replace(d, echo)
	s.nextDeploy()
}

// replace retires the pool before, and answers the deploy when it has drained.
func (s *service) replace(d *deploy, echo *Echo) {
	var pools []*pool
	switch {
	case s.drainsFor(d.Asker):
		return // a panic came after it
	case d.old != nil:
		s.retire(d.old)
		pools = s.sharing(d.old)
	case echo == nil:
		d.done(nil)
		return
	}
	s.drain(&drain{pools: pools, echo: echo, asker: d.Asker, since: d.since, then: func() { d.done(nil) }}, d.How.DrainTimeout)
}

// failDeploy ends a deploy that did not switch; nothing has changed.
func (s *service) failDeploy(d *deploy, err error) {
	if d.over {
		return
	}
	if d.pool != nil {
		s.retire(d.pool)
	}
	s.endDeploy(d)
	s.logFailure(d, err)
	d.done(err)
	s.nextDeploy()
}

func (s *service) endDeploy(d *deploy) {
	if !d.over {
		d.over = true
		s.ended++
	}
	if d.timer != nil {
		d.timer.Stop()
	}
	if s.deploying == d {
		s.deploying = nil
	}
}
