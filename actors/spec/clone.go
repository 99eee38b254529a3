package spec

import (
	"encoding/json"
	"maps"
	"slices"
)

// Clone returns a copy that can be changed without the original showing it.
// It has the original's unknown keys of the state file.
func (r *Record) Clone() *Record {
	c := *r
	c.Options = r.Options.clone()
	c.TargetOptions = r.TargetOptions.clone()
	c.ActiveTargets = slices.Clone(r.ActiveTargets)
	c.ActiveReaders = slices.Clone(r.ActiveReaders)
	c.RolloutTargets = slices.Clone(r.RolloutTargets)
	c.RolloutReaders = slices.Clone(r.RolloutReaders)
	c.PauseController.extra = maps.Clone(r.PauseController.extra)
	c.Rollout = r.Rollout.clone()
	c.extra = maps.Clone(r.extra)
	return &c
}

func (o Options) clone() Options {
	o.Hosts = slices.Clone(o.Hosts)
	o.PathPrefixes = slices.Clone(o.PathPrefixes)
	o.ExcludeMetricsPaths = slices.Clone(o.ExcludeMetricsPaths)
	o.extra = maps.Clone(o.extra)
	return o
}

func (t TargetOptions) clone() TargetOptions {
	t.LogRequestHeaders = slices.Clone(t.LogRequestHeaders)
	t.LogResponseHeaders = slices.Clone(t.LogResponseHeaders)
	t.HealthCheck.extra = maps.Clone(t.HealthCheck.extra)
	t.extra = maps.Clone(t.extra)
	return t
}

func (r *Rollout) clone() *Rollout {
	if r == nil {
		return nil
	}
	c := *r
	c.Allowlist = slices.Clone(r.Allowlist)
	c.extra = maps.Clone(r.extra)
	return &c
}

// CarryUnknown gives r, which must not be published yet, the unknown keys that
// from has and r has not, so that what a newer version wrote outlives a deploy
// by this one.
func (r *Record) CarryUnknown(from *Record) {
	if from == nil {
		return
	}
	carry(&r.extra, from.extra)
	carry(&r.Options.extra, from.Options.extra)
	carry(&r.TargetOptions.extra, from.TargetOptions.extra)
	carry(&r.TargetOptions.HealthCheck.extra, from.TargetOptions.HealthCheck.extra)
	carry(&r.PauseController.extra, from.PauseController.extra)
	if r.Rollout != nil && from.Rollout != nil {
		rollout := *r.Rollout // it may be the order's, which others hold too
		carry(&rollout.extra, from.Rollout.extra)
		r.Rollout = &rollout
	}
}

// carry replaces the map instead of filling it: it may be shared.
func carry(to *map[string]json.RawMessage, from map[string]json.RawMessage) {
	if len(from) == 0 {
		return
	}
	all := maps.Clone(from)
	maps.Copy(all, *to)
	*to = all
}
