package store

import (
	"bytes"
	"encoding/json"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"kamal-proxy/actors/spec"
)

// loadLogged is load, and what it logged.
func loadLogged(t *testing.T, disk Disk) (records, string) {
	t.Helper()
	var log bytes.Buffer
	rs, err := Load(testDir, disk, zerolog.New(&log))
	must(t, err)
	return rs, log.String()
}

func file(entries ...string) string { return "[" + strings.Join(entries, ",") + "]\n" }

func simple(name, target string) string {
	return `{"name":"` + name + `","active_targets":["` + target + `"]}`
}

func TestFreshStart(t *testing.T) {
	backup := newFakeDisk(map[string]string{
		stateFile + ".bak": file(simple("a", "web:1")),
		moreFile:           `{"generations":[{"state":"","services":[` + simple("b", "x") + `]}]}`,
	})
	for _, disk := range []Disk{newFakeDisk(nil), backup} {
		rs, log := loadLogged(t, disk)
		if len(rs) != 0 || !strings.Contains(log, `"No previous state to restore"`) {
			t.Errorf("got %v, log %s", rs, log)
		}
	}
}

func TestEmptyStatesAreNoDamage(t *testing.T) {
	for _, state := range []string{"[]", "null\n", " [ ] "} {
		rs, log := loadLogged(t, newFakeDisk(map[string]string{stateFile: state, stateFile + ".bak": file(simple("a", "web:1"))}))
		if len(rs) != 0 || log != "" {
			t.Errorf("%q: got %v, log %s", state, rs, log)
		}
	}
}

// Three generations of upstream's files, each read, written in today's form,
// and read again as the same.
func TestUpstreamFiles(t *testing.T) {
	first := file(`{"name":"app-web","active_target":"1a2b3c4d5e6f:3000","rollout_target":"","hosts":["app.example.com"],` +
		`"options":{"tls_enabled":false,"tls_certificate_path":""},` +
		`"target_options":{"health_check_config":{"path":"/up","interval":1000000000,"timeout":5000000000},"response_timeout":30000000000,` +
		`"buffer_requests":true,"buffer_responses":true,"max_memory_buffer_size":1048576,"max_request_body_size":0,"max_response_body_size":0,` +
		`"log_request_headers":["Cache-Control","Last-Modified","User-Agent"],"log_response_headers":null,"forward_headers":true},` +
		`"pause_controller":{"state":1,"stop_message":"","fail_after":30000000000},"rollout_controller":null}`)
	second := file(`{"name":"app-web","options":{"hosts":["app.example.com"],"path_prefixes":["/"],"tls_enabled":true,"tls_redirect":true,` +
		`"acme_directory":"","acme_cache_path":"/home/kamal-proxy/.config/kamal-proxy/certs","error_page_path":"","strip_prefix":true},` +
		`"target_options":{"health_check_config":{"path":"/up","port":0,"interval":1000000000,"timeout":5000000000,"host":""},` +
		`"response_timeout":30000000000,"forward_headers":false},"active_targets":["1a2b3c4d5e6f:3000"],"active_readers":null,` +
		`"rollout_targets":["9f8e7d6c5b4a:3000"],"rollout_readers":[],"pause_controller":{"state":0,"stop_message":"","fail_after":0},` +
		`"rollout_controller":{"percentage":33,"percentage_split_point":1417339207.35,"allowlist":["eu"]}}`)
	newer := strings.NewReplacer(`"strip_prefix"`, `"since_0.10":{"x":[1]},"strip_prefix"`, `{"name"`, `{"weight":3,"name"`).Replace(second)

	for generation, state := range map[string]string{"first": first, "second": second, "newer": newer} {
		disk := newFakeDisk(map[string]string{stateFile: state})
		read, log := loadLogged(t, disk)
		if read.String() != "app-web=1a2b3c4d5e6f:3000" || log != "" {
			t.Fatalf("%s: got %v, log %s", generation, read, log)
		}
		must(t, newWriter(testDir, disk).write(read))
		again, _ := loadLogged(t, disk)
		if got, want := string(again[0].AppendJSON(nil)), string(read[0].AppendJSON(nil)); got != want {
			t.Errorf("%s: got %s\nwant %s", generation, got, want)
		}
		written := disk.live[testDir+"/"+stateFile].data
		var entries []map[string]json.RawMessage
		must(t, json.Unmarshal(written, &entries))
		if _, old := entries[0]["active_target"]; old || string(entries[0]["active_targets"]) != `["1a2b3c4d5e6f:3000"]` {
			t.Errorf("%s: wrote %s", generation, written)
		}
		if generation == "newer" && (string(entries[0]["weight"]) != "3" || !bytes.Contains(written, []byte(`"since_0.10":{"x":[1]}`))) {
			t.Errorf("unknown keys are lost: %s", written)
		}
		r := again[0]
		if r.Options.Hosts[0] != "app.example.com" || r.Options.PathPrefixes[0] != "/" || !r.Options.StripPrefix ||
			r.TargetOptions.HealthCheck.Interval != time.Second || r.TargetOptions.ForwardHeaders == r.Options.TLSEnabled {
			t.Errorf("%s: misread: %+v", generation, r)
		}
		if generation == "first" && r.PauseController.State != spec.Paused {
			t.Errorf("a paused service is paused after a restart: %+v", r.PauseController)
		}
		if generation == "second" && !r.Rollout.Includes("eu") {
			t.Errorf("the rollout is lost: %+v", r.Rollout)
		}
	}
}

var damages = map[string]string{
	"empty":     "",
	"cut off":   file(simple("a", "web:2"), simple("b", "web:2"))[:70],
	"doubled":   file(simple("a", "web:2")) + `b"}]`,
	"noise":     "\x00\x00\x00\x00",
	"an object": `{"name":"a"}`,
}

func TestDamagedFileIsSetAsideAndTheBackupUsed(t *testing.T) {
	for what, damaged := range damages {
		disk := newFakeDisk(map[string]string{stateFile: damaged, stateFile + ".bak": file(simple("a", "web:1"), simple("c", "web:1"))})
		rs, log := loadLogged(t, disk)
		if rs.String() != "a=web:1 c=web:1" {
			t.Errorf("%s: got %v", what, rs)
		}
		if !strings.Contains(log, `"error"`) || !strings.Contains(log, "damaged") || !strings.Contains(log, "backup") {
			t.Errorf("%s: the log does not say it: %s", what, log)
		}
		if aside := asides(disk); !slices.Equal(aside, []string{damaged}) {
			t.Errorf("%s: set aside: %q", what, aside)
		}
		if again, log := loadLogged(t, disk); again.String() != rs.String() || log != "" {
			t.Errorf("%s: the next start got %v, log %s", what, again, log)
		}
	}
}

// A cut at any step of the repair loses nothing: the next start repairs again.
func TestCutAtEachStepOfARepair(t *testing.T) {
	for step := 1; ; step++ {
		disk := newFakeDisk(map[string]string{stateFile: damages["cut off"], stateFile + ".bak": file(simple("a", "web:1"))})
		disk.failAt, disk.dead = step, true
		_, _ = Load(testDir, disk, zerolog.Nop())
		for cut := range disk.powerCuts {
			if got := load(t, cut); got != "a=web:1" {
				t.Fatalf("step %d: got %q", step, got)
			}
		}
		if disk.steps < step {
			if step < 5 {
				t.Errorf("only %d steps were cut", step)
			}
			return
		}
	}
}

func TestDamageWithoutBackupSparesWhatComesBefore(t *testing.T) {
	for _, files := range []map[string]string{
		{stateFile: damages["cut off"]},
		{stateFile: damages["cut off"], stateFile + ".bak": "["},
	} {
		disk := newFakeDisk(files)
		for range 2 { // the second start keeps no second copy
			rs, log := loadLogged(t, disk)
			if rs.String() != "a=web:2" || !strings.Contains(log, "deploy") {
				t.Errorf("got %v, log %s", rs, log)
			}
			if got := asides(disk); len(got) != len(files) || !slices.Contains(got, damages["cut off"]) {
				t.Errorf("set aside: %q", got)
			}
		}
		must(t, newWriter(testDir, disk).write(set("a=web:3")))
		if got := load(t, disk); got != "a=web:3" {
			t.Errorf("after the next save: %v", got)
		}
	}
}

func TestBadEntryCostsOnlyItself(t *testing.T) {
	for what, bad := range map[string]string{
		"wrong type":  `{"name":"bad","options":{"hosts":7},"active_targets":["web:1"]}`,
		"null":        `null`,
		"a number":    `7`,
		"no name":     `{"active_targets":["web:1"]}`,
		"no targets":  `{"name":"bad"}`,
		"bad target":  `{"name":"bad","active_targets":[":80"]}`,
		"double name": simple("a", "web:9"),
	} {
		state := file(simple("a", "web:1"), bad, simple("z", "web:1"))
		disk := newFakeDisk(map[string]string{stateFile: state})
		rs, log := loadLogged(t, disk)
		if rs.String() != "a=web:1 z=web:1" {
			t.Errorf("%s: got %v", what, rs)
		}
		if !strings.Contains(log, `"error"`) || !strings.Contains(log, "entry 2") {
			t.Errorf("%s: the log does not say it: %s", what, log)
		}
		if got := asides(disk); !slices.Equal(got, []string{state}) {
			t.Errorf("%s: the entry is lost, kept are %q", what, got)
		}
	}
}

func TestValuesThatNothingRunsWithAreMended(t *testing.T) {
	rs, log := loadLogged(t, newFakeDisk(map[string]string{stateFile: file(
		`{"name":"a","options":{"hosts":[" A.example.com. "]},"target_options":{"health_check_config":{"interval":0,"path":"up"}},` +
			`"active_targets":["web:1",":80"],"pause_controller":{"state":9},"rollout_controller":{"percentage":101,"percentage_split_point":4337916967.95}}`)}))
	if rs.String() != "a=web:1" {
		t.Fatalf("got %v, log %s", rs, log)
	}
	r := rs[0]
	if r.Options.Hosts[0] != "a.example.com" || r.TargetOptions.HealthCheck.Interval != time.Second || r.TargetOptions.HealthCheck.Path != "/up" ||
		r.PauseController.State != spec.Running || r.Rollout.Percentage != 100 {
		t.Errorf("got %+v %+v", r, r.Rollout)
	}
	if strings.Count(log, `"warn"`) != 4 {
		t.Errorf("the log does not tell of interval, target, state and percentage: %s", log)
	}
}

// What upstream wrote in the meantime comes first; what it did not know, comes
// back with us, unless its place is taken.
func TestMoreBesideAStateThatUpstreamChanged(t *testing.T) {
	disk := newFakeDisk(nil)
	must(t, newWriter(testDir, disk).write(set("a=web:1", "n=[::1]:1", "h=[::1]:2", "x=[::1]:3")))
	theirs := file(simple("a", "web:2"), simple("n", "web:2"), `{"name":"t","active_targets":["web:2"],"options":{"hosts":["h.example.com"]}}`)
	disk.live[testDir+"/"+stateFile] = &inode{data: []byte(theirs), synced: []byte(theirs)}
	rs, log := loadLogged(t, disk)
	if got := rs.String(); got != "a=web:2 n=web:2 t=web:2 x=[::1]:3" {
		t.Errorf("got %s", got)
	}
	if !strings.Contains(log, `"service":"n"`) || !strings.Contains(log, `"service":"h"`) {
		t.Errorf("the log does not tell of what was left out: %s", log)
	}
}

func TestDamagedMoreCostsNoOtherServiceAndHasABackup(t *testing.T) {
	disk := newFakeDisk(nil)
	w := newWriter(testDir, disk)
	must(t, w.write(set("a=web:1", "x=[::1]:1")))
	must(t, w.write(set("a=web:2", "x=[::1]:1")))
	disk.live[testDir+"/"+moreFile] = &inode{data: []byte(`{"gen`)}
	rs, log := loadLogged(t, disk)
	if rs.String() != "a=web:2 x=[::1]:1" || !strings.Contains(log, "damaged") || len(asides(disk)) != 1 {
		t.Errorf("got %v, log %s, aside %q", rs, log, asides(disk))
	}
	delete(disk.live, testDir+"/"+moreFile+".bak")
	disk.live[testDir+"/"+moreFile] = &inode{data: []byte(`{"gen`)}
	if rs, _ := loadLogged(t, disk); rs.String() != "a=web:2" {
		t.Errorf("without a backup: got %v", rs)
	}
}

func TestLeftoversAreCleaned(t *testing.T) {
	disk := newFakeDisk(map[string]string{
		stateFile: file(simple("a", "web:1")), stateFile + ".77.tmp": "[", moreFile + ".bak.tmp": "{", "other.tmp": "", "certs": "",
	})
	load(t, disk)
	if got := disk.names(); !slices.Equal(got, []string{"certs", stateFile, "other.tmp"}) {
		t.Errorf("left: %v", got)
	}
}

// No bytes bring Load down, and what it loads it keeps.
func FuzzLoad(f *testing.F) {
	for _, state := range damages {
		f.Add([]byte(state), []byte(`{"generations":[{"services":[`+simple("x", "y")+`]}]}`))
	}
	f.Add([]byte(file(simple("a", "web:1"))), []byte(`{"generations":[{},null]}`))
	f.Fuzz(func(t *testing.T, state, more []byte) {
		disk := newFakeDisk(map[string]string{stateFile: string(state), moreFile: string(more)})
		rs, err := Load(testDir, disk, zerolog.Nop())
		must(t, err)
		must(t, newWriter(testDir, disk).write(records(rs)))
		if got, want := load(t, disk), records(rs).String(); got != want {
			t.Fatalf("got %q, want %q", got, want)
		}
	})
}

func asides(disk *fakeDisk) []string {
	var contents []string
	for _, path := range slices.Sorted(maps.Keys(disk.live)) {
		if strings.Contains(path, asidePrefix) {
			contents = append(contents, string(disk.live[path].data))
		}
	}
	return contents
}
