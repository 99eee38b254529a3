package model_test

import (
	"flag"
	"fmt"
	"os"
	"runtime"
	"slices"
	"strings"
	"testing"
	"testing/synctest"

	"pgregory.net/rapid"
)

// TestMain makes the short form's rounds fit into a few seconds; the command
// line may say otherwise.
func TestMain(m *testing.M) {
	for name, value := range map[string]string{"checks": "40", "shrinktime": "1s", "nofailfile": "true"} {
		flag.Set("rapid."+name, value)
	}
	flag.Parse()
	os.Exit(m.Run())
}

// seen counts what came up, so that one can see that much of it does.
var seen = map[string]int{}

func TestModel(t *testing.T) {
	defer func() { t.Logf("%v", seen) }()
	shortened := false
	rapid.Check(t, func(rt *rapid.T) {
		steps := rapid.SliceOfN(rapid.Custom(drawStep), 100, 100).Draw(rt, "steps")
		if faults := play(t, steps); len(faults) > 0 {
			if !shortened {
				shortened = true
				few := shorten(t, steps)
				t.Logf("%s\ncomes from %s", play(t, few)[0], told(few))
			}
			rt.Fatal(faults[0])
		}
	})
}

// shorten leaves out the steps that a failure does not need, which rapid would
// take an hour for.
func shorten(t *testing.T, steps []step) []step {
	for again := true; again; {
		again = false
		for i := len(steps) - 1; i >= 0; i-- {
			few := slices.Delete(slices.Clone(steps), i, i+1)
			if len(play(t, few)) > 0 {
				steps, again = few, true
			}
		}
	}
	return steps
}

// told is what happened, in short.
func told(steps []step) string {
	var lines []string
	for i, s := range steps {
		if s.kind != "nothing" {
			lines = append(lines, fmt.Sprintf("%d %v", i+1, s))
		}
	}
	return strings.Join(lines, "; ")
}

// play takes the steps in a world of its own, and returns what was wrong.
func play(t *testing.T, steps []step) (faults []string) {
	runtime.GC()
	runtime.GC() // a Route's channel belongs to the bubble it was made in
	synctest.Test(t, func(*testing.T) {
		w := newWorld()
		w.take(step{"deploy", 7, 1, 0})
		w.take(step{"deploy", 4, 0, 1})
		for i, s := range steps {
			w.at = fmt.Sprintf("step %d, %v", i+1, s)
			if s.kind == "nothing" {
				continue
			}
			w.take(s)
			w.check()
			if len(w.faults) > 0 {
				break
			}
		}
		w.end()
		w.tell(seen)
		faults = w.faults
	})
	return faults
}

// entry is one service as it should be.
type entry struct {
	name     string
	hosts    []string
	prefix   string
	targets  []string // writers, then readers
	readers  int
	rollout  []string
	state    state
	patience int // seconds that a paused request waits
	message  string
	born     float64 // when it was first deployed
	since    float64 // and last
	chosen   string  // the visitor that is sent to the rollout; empty: nobody
}

type state int

const (
	running state = iota
	paused
	stopped
)

// model is all services as they should be.
type model map[string]*entry

// owner returns the service of a host and path.
func (m model) owner(host, path string) *entry {
	for _, known := range []string{host, wildcard(host), ""} {
		var best *entry
		found := false
		for _, e := range m {
			if !slices.Contains(e.hosts, known) {
				continue
			}
			found = true
			if covers(e.prefix, path) && (best == nil || len(e.prefix) > len(best.prefix)) {
				best = e
			}
		}
		if found {
			return best
		}
	}
	return nil
}

func wildcard(host string) string {
	_, parent, _ := strings.Cut(host, ".")
	return "*." + parent
}

func covers(prefix, path string) bool {
	return prefix == "/" || path == prefix || strings.HasPrefix(path, prefix+"/")
}

// taken reports whether another service has one of the hosts at that prefix.
func (m model) taken(name string, hosts []string, prefix string) bool {
	for _, e := range m {
		if e.name != name && e.prefix == prefix && slices.ContainsFunc(hosts, func(h string) bool { return slices.Contains(e.hosts, h) }) {
			return true
		}
	}
	return false
}

// goals are the targets that a visitor's request may go to.
func (e *entry) goals(visitor string) []string {
	if visitor != "" && visitor == e.chosen && len(e.rollout) > 0 {
		return e.rollout
	}
	return e.targets
}

// line is the entry as the lists of both sides are compared.
func (e *entry) line() string {
	n := len(e.targets) - e.readers
	return fmt.Sprintf("%s %s %s %v %v %v %d %q %s", e.name, strings.Join(e.hosts, ","), e.prefix,
		e.targets[:n], e.targets[n:], e.rollout, e.state, e.message, e.chosen)
}

func (m model) lines() string {
	var lines []string
	for _, e := range m {
		lines = append(lines, e.line())
	}
	slices.Sort(lines)
	return strings.Join(lines, "\n")
}
