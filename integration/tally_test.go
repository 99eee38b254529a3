package integration

import (
	"cmp"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"text/tabwriter"
	"time"
)

// outcome is what became of one request.
type outcome struct {
	kind  string // what was asked, and over what
	begun time.Time
	took  time.Duration
	err   error // nil: the answer came, whole and right
}

// during reports whether the request was under way at some moment of a time.
func (o outcome) during(from, to time.Time) bool {
	return !o.begun.After(to) && !o.begun.Add(o.took).Before(from)
}

// tally collects outcomes from many goroutines.
type tally struct {
	mu    sync.Mutex
	took  map[string][]time.Duration
	lost  []outcome
	notes []string
}

func (t *tally) add(o outcome) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.took == nil {
		t.took = map[string][]time.Duration{}
	}
	t.took[o.kind] = append(t.took[o.kind], o.took)
	if o.err != nil {
		t.lost = append(t.lost, o)
	}
}

// note adds a line below the table.
func (t *tally) note(format string, args ...any) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.notes = append(t.notes, fmt.Sprintf(format, args...))
}

// count is how many requests have ended.
func (t *tally) count() (n int) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, took := range t.took {
		n += len(took)
	}
	return n
}

// losses has those requests that were lost.
func (t *tally) losses() []outcome {
	t.mu.Lock()
	defer t.mu.Unlock()
	return slices.Clone(t.lost)
}

// print logs a row for each kind, and one for all.
func (t *tally) print(tb testing.TB, title string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	var text strings.Builder
	table := tabwriter.NewWriter(&text, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(table, "\trequests\tlost\tp50\tp99\tmax\t")
	lost := map[string]int{}
	for _, o := range t.lost {
		lost[o.kind]++
	}
	var all []time.Duration
	for _, kind := range slices.Sorted(maps.Keys(t.took)) {
		took := t.took[kind]
		all = append(all, took...)
		tableRow(table, kind, took, lost[kind])
	}
	tableRow(table, "all", all, len(t.lost))
	table.Flush()
	for _, line := range append(slices.Clone(t.notes), kinds(t.lost)...) {
		fmt.Fprintln(&text, line)
	}
	tb.Logf("%s\n%s", title, text.String())
}

func tableRow(table *tabwriter.Writer, kind string, took []time.Duration, lost int) {
	took = slices.Sorted(slices.Values(took))
	at := func(q float64) time.Duration {
		if len(took) == 0 {
			return 0
		}
		return took[min(int(q*float64(len(took))), len(took)-1)].Round(100 * time.Microsecond)
	}
	fmt.Fprintf(table, "%s\t%d\t%d\t%s\t%s\t%s\t\n", kind, len(took), lost, at(0.5), at(0.99), at(1))
}

var digits = regexp.MustCompile(`\d+`)

// kinds counts losses by what went wrong, ports and the like left out.
func kinds(lost []outcome) []string {
	times := map[string]int{}
	for _, o := range lost {
		text := o.err.Error()
		times[o.kind+": "+digits.ReplaceAllString(text[:min(len(text), 160)], "N")]++
	}
	lines := []string{}
	for _, text := range slices.SortedFunc(maps.Keys(times), func(a, b string) int { return cmp.Compare(times[b], times[a]) }) {
		lines = append(lines, fmt.Sprintf("%6d × %s", times[text], text))
	}
	return lines[:min(len(lines), 20)]
}

// nothingLost fails the test if a request was lost.
func (t *tally) nothingLost(tb testing.TB) {
	tb.Helper()
	if lost := t.losses(); len(lost) > 0 {
		o := lost[0]
		tb.Errorf("%d of %d requests were lost, the first at %s after %s: %s: %v",
			len(lost), t.count(), o.begun.Format("15:04:05.000"), o.took, o.kind, o.err)
	}
}
