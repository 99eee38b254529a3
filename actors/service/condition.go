package service

import "time"

// Condition is how a target that serves is doing.
type Condition struct {
	Target   string     `json:"target"`
	Role     Role       `json:"role"`
	Health   Health     `json:"health"`
	Since    *time.Time `json:"since,omitempty"` // of what is wrong; nil: nothing is, or it is not known
	Error    string     `json:"error,omitempty"` // what its requests or its checks met last
	Failures int        `json:"failures,omitempty"`
	InFlight int        `json:"in_flight"` // requests under way
}

// Role is what a target is there for.
type Role string

const (
	Writer        Role = "writer"
	Reader        Role = "reader"
	RolloutWriter Role = "rollout writer"
	RolloutReader Role = "rollout reader"
)

// Health is what is known of a target, by its checks and by its requests.
type Health string

const (
	Well      Health = "ok"
	Failing   Health = "failing"   // its last requests failed, Failures in a row
	Ejected   Health = "ejected"   // and it gets none for a while
	Returning Health = "returning" // it gets more and more requests again
	Unhealthy Health = "unhealthy" // its checks fail, and it gets no requests
)

func (s *service) inspect(m Inspect) {
	var all []Condition
	for slot, p := range s.slots {
		if p == nil {
			continue
		}
		writer, reader := Writer, Reader
		if Slot(slot) == Rollout {
			writer, reader = RolloutWriter, RolloutReader
		}
		for _, t := range p.writers.targets {
			all = append(all, t.condition(writer))
		}
		for _, t := range p.readers.targets {
			all = append(all, t.condition(reader))
		}
	}
	m.Answer(all, nil)
}

func (t *target) condition(role Role) Condition {
	c := Condition{Target: t.name, Role: role, Health: t.health(), InFlight: t.underWay, Failures: t.record.row}
	switch {
	case c.Health == Unhealthy && t.unwell != nil:
		c.Since, c.Error = &t.unwell.since, t.unwell.why
	case t.record.row > 0:
		since := t.record.since
		c.Since, c.Error = &since, t.record.last
	}
	return c
}

func (t *target) health() Health {
	switch {
	case !t.healthy:
		return Unhealthy
	case t.ejected:
		return Ejected
	case t.withheld > 0:
		return Returning
	case t.record.row > 0:
		return Failing
	default:
		return Well
	}
}
