package service

import (
	"slices"

	"kamal-proxy/actors/spec"
)

// rotation hands out targets, leaving out those that are not healthy and those
// that are ejected. It is arranged anew whenever that changes.
type rotation struct {
	targets []*target
	ready   []*target // those that take their turn
	turn    int       // whose it is
}

// arrange works out who takes a turn: the healthy ones without the ejected,
// unless that would leave fewer than half of the healthy: then it is not the
// targets that are at fault, or those that are left would not bear it, and
// nobody is left out. Only where others stand in may none be left.
func (r *rotation) arrange(standIns bool) {
	healthy := kept(r.targets, func(t *target) bool { return t.healthy })
	r.ready = kept(healthy, func(t *target) bool { return !t.ejected })
	if len(r.ready)*2 < len(healthy) && !(standIns && len(r.ready) == 0) {
		r.ready = healthy
	}
	if r.turn >= len(r.ready) {
		r.turn = 0
	}
}

func kept(targets []*target, keep func(*target) bool) []*target {
	return slices.DeleteFunc(slices.Clone(targets), func(t *target) bool { return !keep(t) })
}

// pick chooses the target of a request, by the client's own if it has one, or
// nil.
func (r *rotation) pick(o *spec.Options, sticky string, random func(int) int) *target {
	if o.Sticky {
		if t := r.named(sticky); t != nil {
			return t
		}
	}
	if o.LoadBalancing == spec.Least {
		return r.least(random)
	}
	return r.next()
}

// next returns the target whose turn it is. Where none takes its turn, because
// all have just come back, they have to: each in its turn.
func (r *rotation) next() *target {
	for range r.ready {
		if t := r.advance(); t.takes() {
			return t
		}
	}
	if len(r.ready) == 0 {
		return nil
	}
	return r.advance()
}

func (r *rotation) advance() *target {
	t := r.ready[r.turn]
	if r.turn++; r.turn == len(r.ready) {
		r.turn = 0
	}
	return t
}

// least returns the one of two targets, chosen at random, that has fewer
// requests under way. To look at all would send what comes at once to one.
func (r *rotation) least(random func(int) int) *target {
	if len(r.ready) < 2 {
		return r.next()
	}
	i, j := random(len(r.ready)), random(len(r.ready)-1)
	if j >= i {
		j++
	}
	t, other := r.ready[i], r.ready[j]
	if other.underWay < t.underWay {
		t, other = other, t
	}
	if t.takes() {
		return t
	}
	return other
}

// other returns the target with the fewest requests under way that was not
// tried, or nil. Of equal ones it is the next in turn.
func (r *rotation) other(tried tries) *target {
	var best *target
	for i := range r.ready {
		t := r.ready[(r.turn+i)%len(r.ready)]
		if !tried.has(t) && (best == nil || t.underWay < best.underWay) {
			best = t
		}
	}
	return best
}

// A target that has come back takes a tenth of its turns at first, and a tenth
// more each second.
const fullShare = 10

// takes reports whether a target takes the turn that it is offered.
func (t *target) takes() bool {
	if t.withheld == 0 {
		return true
	}
	t.credit += fullShare - t.withheld
	if t.credit < fullShare {
		return false
	}
	t.credit -= fullShare
	return true
}
