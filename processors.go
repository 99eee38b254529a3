package main

import (
	"context"
	"os"
	"runtime"
	"syscall"
	"time"
)

// A processor of the scheduler's that has nothing to do looks for work that the
// others could give it, and each step of a request wakes one up for that. While
// there are few requests this costs more than they do: so one processor runs
// all of them then, and all are back within a glance when it gets busy.
const (
	glance    = 100 * time.Millisecond
	busyFrom  = 60 // percent of one processor, within a glance
	lightTo   = 40
	lightTime = time.Second // before the others are sent away
)

// followLoad sets how many processors are used by what the process takes of
// them, which taken tells, until ctx ends. A GOMAXPROCS from the environment
// stays as it is.
func followLoad(ctx context.Context, taken func() time.Duration) {
	if _, given := os.LookupEnv("GOMAXPROCS"); given {
		return
	}
	ticker := time.NewTicker(glance)
	defer ticker.Stop()
	var d demand
	for {
		select {
		case <-ctx.Done():
			runtime.SetDefaultGOMAXPROCS()
			return
		case now := <-ticker.C:
			if !d.note(now, taken()) {
				continue
			}
		}
		if d.light {
			runtime.GOMAXPROCS(1)
		} else {
			runtime.SetDefaultGOMAXPROCS()
		}
	}
}

// demand tells a light load from a heavy one.
type demand struct {
	light bool
	since time.Time     // it has not been heavier than lightTo
	at    time.Time     // of the last glance
	used  time.Duration // by then
}

// note takes in what was used by now, and reports whether light has changed.
func (d *demand) note(now time.Time, used time.Duration) bool {
	elapsed, percent := now.Sub(d.at), time.Duration(0)
	if elapsed > 0 {
		percent = 100 * (used - d.used) / elapsed
	}
	if d.at.IsZero() || percent > lightTo {
		d.since = now
	}
	d.at, d.used = now, used
	if d.light {
		d.light = percent < busyFrom
		return !d.light
	}
	d.light = now.Sub(d.since) >= lightTime
	return d.light
}

// processorTime is what the process has used, of all processors together.
func processorTime() time.Duration {
	var usage syscall.Rusage
	if syscall.Getrusage(syscall.RUSAGE_SELF, &usage) != nil {
		return 0
	}
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
}
