package spec

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// Mend makes a record that was read from a state file fit to run, whoever
// wrote it: what Normalize does, and defaults in the place of values that
// nothing can run with. It returns a sentence for each value that it had to
// change, and an error if no service can be made of r. Where Validate is
// strict with what is asked for, Mend keeps a service that once ran running.
func (r *Record) Mend() (changes []string, err error) {
	m := mender{}
	m.options(&r.Options)
	m.targetOptions(&r.TargetOptions)
	m.gate(&r.PauseController)
	r.Rollout = m.rollout(r.Rollout)
	r.ActiveTargets = m.targets(r.ActiveTargets)
	r.ActiveReaders = m.targets(r.ActiveReaders)
	r.RolloutTargets = m.targets(r.RolloutTargets)
	r.RolloutReaders = m.targets(r.RolloutReaders)
	if len(r.RolloutTargets) == 0 && len(r.RolloutReaders) > 0 {
		m.note("rollout targets that are all readers are left out")
		r.RolloutReaders = nil
	}
	if err := ValidName(r.Name); err != nil {
		return m.changes, err
	}
	if len(r.ActiveTargets) == 0 {
		return m.changes, fmt.Errorf("service %s has no target that can be used", r.Name)
	}
	return m.changes, nil
}

type mender struct{ changes []string }

func (m *mender) note(format string, args ...any) {
	m.changes = append(m.changes, fmt.Sprintf(format, args...))
}

func (m *mender) options(o *Options) {
	o.fillLists()
	o.Hosts = m.list(o.Hosts, NormalizeHost, strings.TrimSpace)
	o.PathPrefixes = m.list(o.PathPrefixes, NormalizePathPrefix, func(p string) string { return "/" + strings.Trim(p, "/") })
	if host, err := NormalizeHost(o.CanonicalHost); err != nil {
		m.note("the canonical host is left out: %v", err)
		o.CanonicalHost = ""
	} else {
		o.CanonicalHost = host
	}
	mendNumber(m, "writer_affinity_timeout", &o.WriterAffinityTimeout, 0, time.Second)
	switch o.LoadBalancing {
	case "", Least:
	case RoundRobin:
		o.LoadBalancing = ""
	default:
		m.note("load_balancing is %q: targets take turns", o.LoadBalancing)
		o.LoadBalancing = ""
	}
}

// list normalizes list. What has no normal form stays, as fallback has it: it
// may be of use to who wrote it, and matches nothing here.
func (m *mender) list(list []string, normalize func(string) (string, error), fallback func(string) string) []string {
	kept := slices.Clone(list)
	for i, given := range list {
		normal, err := normalize(given)
		if err != nil {
			m.note("it matches nothing: %v", err)
			normal = fallback(given)
		}
		kept[i] = normal
	}
	return unique(kept, same)
}

func (m *mender) targetOptions(t *TargetOptions) {
	d := DefaultTargetOptions()
	mendNumber(m, "response_timeout", &t.ResponseTimeout, 0, d.ResponseTimeout)
	mendNumber(m, "max_memory_buffer_size", &t.MaxMemoryBufferSize, 0, d.MaxMemoryBufferSize)
	mendNumber(m, "max_request_body_size", &t.MaxRequestBodySize, 0, 0)
	mendNumber(m, "max_response_body_size", &t.MaxResponseBodySize, 0, 0)

	h := &t.HealthCheck
	if h.Path = normalizeCheckPath(h.Path); !printable(h.Path) {
		m.note("path %q cannot be asked for: %s is used", h.Path, d.HealthCheck.Path)
		h.Path = d.HealthCheck.Path
	}
	mendNumber(m, "interval", &h.Interval, 1, d.HealthCheck.Interval)
	mendNumber(m, "timeout", &h.Timeout, 1, d.HealthCheck.Timeout)
	if h.Port < 0 || h.Port > 65535 {
		m.note("port is %d: the target's own is used", h.Port)
		h.Port = 0
	}
}

func (m *mender) gate(g *Gate) {
	mendNumber(m, "fail_after", &g.FailAfter, 0, DefaultMaxPause)
	if g.State < Running || g.State > Stopped {
		m.note("state is %d: it is taken as running", int(g.State))
		g.State = Running
	}
}

func (m *mender) rollout(r *Rollout) *Rollout {
	if r == nil || checkPercentage(r.Percentage) == nil {
		return r
	}
	m.note("percentage is %d: the nearest of 0 to 100 is used", r.Percentage)
	mended := *r
	mended.Percentage = max(0, min(r.Percentage, 100))
	mended.PercentageSplitPoint = splitPoint(mended.Percentage)
	return &mended
}

func (m *mender) targets(list []string) []string {
	return slices.DeleteFunc(list, func(target string) bool {
		_, err := ParseTarget(target)
		if err != nil {
			m.note("a target is left out: %v", err)
		}
		return err != nil
	})
}

func mendNumber[N ~int64](m *mender, key string, n *N, least, instead N) {
	if *n < least {
		m.note("%s is %v: %v is used", key, *n, instead)
		*n = instead
	}
}
