package calm

import (
	"slices"
	"strings"
	"testing"
	"time"
)

// halting is a machine that stops for so long in each run.
func halting(d time.Duration) func() func() time.Duration {
	return func() func() time.Duration { return func() time.Duration { return d } }
}

func TestWhatPassesIsRunOnce(t *testing.T) {
	runs, order := 0, []string{}
	Try(t, func(t testing.TB, u time.Duration) {
		runs++
		t.Cleanup(func() { order = append(order, "first") })
		t.Cleanup(func() { order = append(order, "second") })
		if u != unit {
			t.Errorf("the unit is %v", u)
		}
	})
	if runs != 1 || !slices.Equal(order, []string{"second", "first"}) {
		t.Errorf("%d runs, cleaned up in the order %q", runs, order)
	}
}

func TestAfterAHaltThereIsMoreTime(t *testing.T) {
	var units []time.Duration
	try(t, func(t testing.TB, u time.Duration) {
		units = append(units, u)
		switch len(units) {
		case 1:
			t.Error("too late")
		case 2:
			t.Fatal("too late")
		}
	}, halting(time.Second))
	if want := []time.Duration{unit, 2 * unit, 4 * unit}; !slices.Equal(units, want) {
		t.Errorf("ran with %v, want %v", units, want)
	}
}

func TestFailuresCount(t *testing.T) {
	for _, c := range []struct {
		name string
		halt time.Duration
		runs int
	}{
		{"at once where the machine ran all the while", unit / 10, 1},
		{"after longer units than the machine stopped for", 3 * unit, 5},
		{"after some runs in any case", time.Hour, attempts},
	} {
		t.Run(c.name, func(t *testing.T) {
			runs := 0
			outer := &attempt{TB: t}
			outer.run(0, func(t testing.TB, _ time.Duration) {
				try(t, func(t testing.TB, _ time.Duration) {
					runs++
					t.Fatalf("run %d", runs)
				}, halting(c.halt))
				panic("it goes on")
			})
			if said := strings.Join(outer.said, "\n"); !outer.failed || !strings.Contains(said, "calm_test.go") {
				t.Errorf("it says %q", said)
			}
			if runs != c.runs {
				t.Errorf("%d runs, want %d", runs, c.runs)
			}
		})
	}
}
