package service

import (
	"slices"
	"time"

	"kamal-proxy/actors/spec"
)

// gate is the way into a service: open, held (paused) or shut (stopped). It
// owns the requests that wait. Pausing is not answering yet.
type gate struct {
	spec.Gate
	held []*Route // in the order in which they came
}

// retryAfter is what a client is told that finds the queue full.
const retryAfter = time.Second

// hold queues r until the pause ends, or reports that the queue is full.
func (g *gate) hold(r *Route, now time.Time, limit int) bool {
	if len(g.held) >= limit {
		return false
	}
	r.deadline = now.Add(g.FailAfter)
	g.held = append(g.held, r)
	return true
}

// leave forgets a Route whose asker has abandoned it.
func (g *gate) leave(r *Route) {
	if i := slices.Index(g.held, r); i >= 0 {
		g.held = slices.Delete(g.held, i, i+1)
	}
}

// shift takes out the one that has waited longest, or nil.
func (g *gate) shift() *Route {
	if len(g.held) == 0 {
		g.held = nil
		return nil
	}
	r := g.held[0]
	g.held[0] = nil
	g.held = g.held[1:]
	return r
}

// expired takes out those that have waited as long as their pause allows.
func (g *gate) expired(now time.Time) []*Route {
	var over []*Route
	g.held = slices.DeleteFunc(g.held, func(r *Route) bool {
		if r.deadline.After(now) {
			return false
		}
		over = append(over, r)
		return true
	})
	return over
}

// next is when the first of those that wait will have waited long enough.
func (g *gate) next() (deadline time.Time, any bool) {
	for i, r := range g.held {
		if i == 0 || r.deadline.Before(deadline) {
			deadline = r.deadline
		}
	}
	return deadline, len(g.held) > 0
}
