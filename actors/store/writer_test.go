package store

import (
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/rs/zerolog"

	"kamal-proxy/actors/spec"
)

const testDir = "/data"

type records []*spec.Record

func (rs records) Each(yield func(*spec.Record) bool) {
	for _, r := range rs {
		if !yield(r) {
			return
		}
	}
}

// set makes records from name=target.
func set(pairs ...string) records {
	var rs records
	for _, pair := range pairs {
		name, target, _ := strings.Cut(pair, "=")
		rs = append(rs, &spec.Record{
			Name: name, Options: spec.DefaultOptions(), TargetOptions: spec.DefaultTargetOptions(), ActiveTargets: []string{target},
		})
		rs[len(rs)-1].Options.Hosts = []string{name + ".example.com"}
	}
	return rs
}

// show is what a test compares: name=target, ...
func (rs records) String() string {
	var parts []string
	for _, r := range rs {
		parts = append(parts, r.Name+"="+strings.Join(r.ActiveTargets, "+"))
	}
	return strings.Join(parts, " ")
}

func load(t testing.TB, disk Disk) string {
	t.Helper()
	rs, err := Load(testDir, disk, zerolog.New(io.Discard))
	if err != nil {
		t.Fatal(err)
	}
	return records(rs).String()
}

// changes are pairs of states, of which the second replaces the first. Targets
// in brackets and of one letter are kept from upstream.
var changes = []struct{ before, after records }{
	{nil, set("a=web:1")},
	{nil, set("a=[::1]:1")},
	{set("a=web:1"), set("a=web:2")},
	{set("a=web:1"), nil},
	{set("a=web:1", "b=web:2"), set("b=web:2")},
	{set("a=web:1", "x=[::1]:1"), set("a=web:2", "x=[::1]:1")},
	{set("a=web:1", "x=[::1]:1"), set("a=web:1", "x=[::1]:2")},
	{set("a=web:1", "x=web:1"), set("a=web:1", "x=[::1]:1")},
	{set("a=web:1", "x=[::1]:1"), set("a=web:1", "x=web:1")},
	{set("a=web:1", "x=[::1]:1"), set("a=web:1")},
	{set("x=[::1]:1"), set("x=[::1]:2")},
	{set("x=[::1]:1"), nil},
	{set("x=[::1]:1", "y=web:1"), set("x=web:2", "y=z")},
}

// prepared returns a disk on which before has been kept, with the usual past,
// and a writer that knows it or a new one.
func prepared(t *testing.T, before records, noLink, restarted bool) (*fakeDisk, *writer) {
	t.Helper()
	disk := newFakeDisk(nil)
	disk.noLink = noLink
	w := newWriter(testDir, disk)
	if before != nil {
		for _, past := range []records{set("a=past:1", "p=q"), set("a=past:2"), before} {
			if err := w.write(past); err != nil {
				t.Fatal(err)
			}
		}
	}
	if restarted {
		w = newWriter(testDir, disk)
	}
	disk.steps = 0
	return disk, w
}

func eachWrite(t *testing.T, test func(t *testing.T, before, after records, prepare func() (*fakeDisk, *writer))) {
	for _, c := range changes {
		for _, noLink := range []bool{false, true} {
			for _, restarted := range []bool{false, true} {
				t.Run(fmt.Sprintf("%v -> %v, no links %v, restarted %v", c.before, c.after, noLink, restarted), func(t *testing.T) {
					test(t, c.before, c.after, func() (*fakeDisk, *writer) { return prepared(t, c.before, noLink, restarted) })
				})
			}
		}
	}
}

// A power cut or a kill, at whichever step of a write, leaves the state before
// or the state after it.
func TestCutAtEachStep(t *testing.T) {
	eachWrite(t, func(t *testing.T, before, after records, prepare func() (*fakeDisk, *writer)) {
		seen := map[string]int{}
		for step := 1; ; step++ {
			disk, w := prepare()
			disk.failAt, disk.dead = step, true
			err := w.write(after)
			for cut := range disk.powerCuts {
				names := cut.names()
				got := load(t, cut)
				seen[got]++
				if got != before.String() && got != after.String() || err == nil && got != after.String() {
					t.Fatalf("power cut at step %d (%v) with %v: got %q", step, err, names, got)
				}
			}
			if got := load(t, disk.afterKill()); got != before.String() && got != after.String() {
				t.Fatalf("kill at step %d: got %q", step, got)
			}
			if disk.steps < step {
				break
			}
		}
		if seen[before.String()] == 0 || seen[after.String()] == 0 {
			t.Errorf("the cuts were not tried: %v", seen)
		}
	})
}

// One step that fails makes the write fail with the state as it was, or is of
// no account; either way the next write works.
func TestFailureAtEachStep(t *testing.T) {
	eachWrite(t, func(t *testing.T, before, after records, prepare func() (*fakeDisk, *writer)) {
		failed := false
		for step := 1; ; step++ {
			disk, w := prepare()
			disk.failAt = step
			err := w.write(after)
			if disk.steps < step {
				break
			}
			want := after
			if err != nil {
				want, failed = before, true
				if !errors.Is(err, errDisk) || !strings.Contains(err.Error(), testDir) {
					t.Errorf("step %d: %v does not say what failed where", step, err)
				}
			}
			if got := load(t, disk.afterKill()); got != want.String() {
				t.Fatalf("step %d fails (%v): got %q, want %q", step, err, got, want)
			}
			last := set("l=web:9", "m=n")
			if err := w.write(last); err != nil {
				t.Fatalf("after step %d failed: %v", step, err)
			}
			for cut := range disk.powerCuts {
				if got := load(t, cut); got != last.String() {
					t.Fatalf("after step %d failed: got %q, want %q", step, got, last)
				}
			}
		}
		if !failed {
			t.Error("no failure was tried")
		}
	})
}

func TestStateFileHasOnlyWhatUpstreamLoads(t *testing.T) {
	disk := newFakeDisk(nil)
	w := newWriter(testDir, disk)
	must(t, w.write(set("a=web:1", "x=[::1]:1", "y=z", "b=web:2")))
	state := string(disk.live[testDir+"/"+stateFile].data)
	for _, r := range set("a=web:1", "b=web:2") {
		if !strings.Contains(state, string(r.AppendJSON(nil))) {
			t.Errorf("%s is not in %s", r.Name, state)
		}
	}
	if strings.Contains(state, "::1") || strings.Contains(state, `"z"`) {
		t.Errorf("upstream would load nothing of %s", state)
	}
	if got := load(t, disk); got != set("a=web:1", "b=web:2", "x=[::1]:1", "y=z").String() {
		t.Errorf("got %s", got)
	}
	for _, later := range []string{"a=web:1", "a=web:2", "a=web:3"} {
		must(t, w.write(set(later)))
	}
	if names := disk.names(); !slices.Equal(names, []string{stateFile, stateFile + ".bak"}) {
		t.Errorf("the second file outlives its use: %v", names)
	}
}

func TestOneChangeEncodesOneRecord(t *testing.T) {
	w := newWriter(testDir, newFakeDisk(nil))
	rs := set("a=web:1", "b=web:2")
	must(t, w.write(rs))
	first := &w.entries[rs[0]].json[0]
	changed := records{rs[0], set("b=web:3")[0]}
	must(t, w.write(changed))
	if &w.entries[rs[0]].json[0] != first {
		t.Error("a record that stayed was encoded again")
	}
	if len(w.entries) != 2 {
		t.Errorf("%d records are remembered, want 2", len(w.entries))
	}
}

func TestRealDisk(t *testing.T) {
	dir := t.TempDir() + "/new/folder"
	w := newWriter(dir, nil)
	must(t, w.write(set("a=web:1", "x=y")))
	must(t, w.write(set("a=web:2", "x=y")))
	for name, mode := range map[string]os.FileMode{"": 0o700, stateFile: 0o600, stateFile + ".bak": 0o600, moreFile: 0o600} {
		info, err := os.Stat(dir + "/" + name)
		must(t, err)
		if info.Mode().Perm() != mode {
			t.Errorf("%q has mode %v, want %v", name, info.Mode().Perm(), mode)
		}
	}
	must(t, os.WriteFile(dir+"/"+stateFile+".123"+tempSuffix, []byte("cut"), 0o600))
	rs, err := Load(dir, nil, zerolog.New(io.Discard))
	must(t, err)
	if got := records(rs).String(); got != "a=web:2 x=y" {
		t.Errorf("got %s", got)
	}
	names, err := OS{}.Names(dir)
	must(t, err)
	if slices.ContainsFunc(names, func(n string) bool { return strings.HasSuffix(n, tempSuffix) }) {
		t.Errorf("drafts are left: %v", names)
	}
	must(t, os.Remove(dir+"/"+stateFile))
	must(t, os.Mkdir(dir+"/"+stateFile, 0o700))
	if _, err := Load(dir, nil, zerolog.New(io.Discard)); err == nil {
		t.Error("a state file that cannot be read is no empty one")
	}
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func BenchmarkWriteOneOfThousand(b *testing.B) {
	w := newWriter(b.TempDir(), nil)
	rs := set(slices.Collect(func(yield func(string) bool) {
		for i := range 1000 {
			if !yield(fmt.Sprintf("app-%04d=web-%d:3000", i, i)) {
				return
			}
		}
	})...)
	must(b, w.write(rs))
	for i := 0; b.Loop(); i++ {
		rs[i%len(rs)] = set(fmt.Sprintf("app-%04d=web-%d:80", i%len(rs), i+10))[0]
		must(b, w.write(rs))
	}
}
