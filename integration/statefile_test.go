package integration

import (
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
)

func (d *daemon) statePath() string {
	return filepath.Join(d.home, ".config", "kamal-proxy", "kamal-proxy.state")
}

// startWithState runs a daemon on a state file that somebody else has left.
func startWithState(t *testing.T, text string) *daemon {
	t.Helper()
	d := &daemon{t: t, home: shortTempDir(t)}
	if err := os.MkdirAll(filepath.Dir(d.statePath()), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(d.statePath(), []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	d.start()
	t.Cleanup(d.stop)
	return d
}

// state is what is on disk, by the services' names.
func (d *daemon) state() map[string]map[string]any {
	d.t.Helper()
	data, err := os.ReadFile(d.statePath())
	if err != nil {
		d.t.Fatal(err)
	}
	var entries []map[string]any
	if err := json.Unmarshal(data, &entries); err != nil {
		d.t.Fatalf("%v in %s", err, data)
	}
	byName := map[string]map[string]any{}
	for _, e := range entries {
		byName[e["name"].(string)] = e
	}
	return byName
}

// fixture is a state file of testdata, with targets that are there.
func fixture(t *testing.T, name string, targets ...string) string {
	t.Helper()
	data, err := os.ReadFile(filepath.Join("testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	text := string(data)
	for i, target := range targets {
		text = strings.ReplaceAll(text, "target-"+string(rune('a'+i)), target)
	}
	return text
}

func TestUpstreamsStateIsTakenUpAndGivenBack(t *testing.T) {
	a, b := startApp(t, "a"), startApp(t, "b")
	text := fixture(t, "state-current.json", a.target(), b.target())
	d := startWithState(t, text)

	if code, body := d.get("web.example", "/"); code != 200 || body != "a" {
		t.Errorf("web, at once: %d %q", code, body)
	}
	if by, _ := servedBy(t, d, "GET"); by != "a" {
		t.Errorf("the service without a host is served by %q", by)
	}
	if by := groupOf(t, d, "alice"); by != "b" {
		t.Errorf("alice of the rollout's list is served by %q", by)
	}
	if code, body := d.get("closed.example", "/"); code != 503 || !strings.Contains(body, "Back &lt;soon&gt;") {
		t.Errorf("closed: %d %q", code, body)
	}
	d.must("resume", "paused") // upstream's daemon dies of this
	if _, body := d.get("paused.example", "/app/x"); body != "a" {
		t.Errorf("paused, after resume: %q", body)
	}
	d.must("pause", "paused", "--max-pause", "12s")
	d.must("deploy", "new", "--host", "new.example", "--target", a.target())

	var entries []map[string]any
	if err := json.Unmarshal([]byte(text), &entries); err != nil {
		t.Fatal(err)
	}
	now := d.state()
	for _, was := range entries {
		name := was["name"].(string)
		if is := now[name]; !reflect.DeepEqual(is, was) {
			t.Errorf("%s was\n%s\nand is\n%s", name, encode(t, was), encode(t, is))
		}
	}
	if len(now) != len(entries)+1 {
		t.Errorf("%d services are kept, want those %d and the new one", len(now), len(entries))
	}
}

func encode(t *testing.T, value any) string {
	t.Helper()
	data, err := json.Marshal(value)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

func TestOlderStates(t *testing.T) {
	a, b := startApp(t, "a"), startApp(t, "b")
	d := startWithState(t, fixture(t, "state-older.json", a.target(), b.target()))
	for _, c := range []struct{ host, path, want string }{
		{"single.example", "/", "a"}, {"other.example", "/", "a"}, {"top.example", "/api", "b"}, {"sparse.example", "/", "b"},
	} {
		if _, body := d.get(c.host, c.path); body != c.want {
			t.Errorf("%s%s answers %q, want %s", c.host, c.path, body, c.want)
		}
	}
	d.must("stop", "single", "--message", "m")
	now := d.state()
	for name, want := range map[string]string{
		"single": `{"active_targets":["` + a.target() + `"],"active_readers":[],"rollout_targets":["` + b.target() + `"],"rollout_readers":null}`,
		"top":    `{"active_targets":["` + b.target() + `"],"active_readers":[],"rollout_targets":null,"rollout_readers":null}`,
	} {
		got := map[string]any{}
		for key, value := range now[name] {
			if strings.HasPrefix(key, "active_") || strings.HasPrefix(key, "rollout_t") || strings.HasPrefix(key, "rollout_r") {
				got[key] = value
			}
		}
		var wanted map[string]any
		if err := json.Unmarshal([]byte(want), &wanted); err != nil {
			t.Fatal(err)
		}
		if !reflect.DeepEqual(got, wanted) {
			t.Errorf("%s: targets %s, want %s", name, encode(t, got), want)
		}
	}
	options := now["top"]["options"].(map[string]any)
	if encode(t, options["hosts"]) != `["top.example"]` || encode(t, options["path_prefixes"]) != `["/api"]` {
		t.Errorf("top: hosts %v, prefixes %v", options["hosts"], options["path_prefixes"])
	}
	// What is absent has its flag's default.
	sparse := now["sparse"]
	if o := sparse["options"].(map[string]any); o["tls_redirect"] != true || o["strip_prefix"] != true || o["writer_affinity_timeout"] != 1e9 {
		t.Errorf("sparse: options %s", encode(t, o))
	}
	target := sparse["target_options"].(map[string]any)
	if check := target["health_check_config"].(map[string]any); check["path"] != "/up" || check["interval"] != 1e9 || check["timeout"] != 5e9 {
		t.Errorf("sparse: checks %s", encode(t, check))
	}
	if target["response_timeout"] != 30e9 || target["forward_headers"] != true || target["max_memory_buffer_size"] != 1048576.0 {
		t.Errorf("sparse: target options %s", encode(t, target))
	}
	if sparse["unknown_of_old"] != "kept" {
		t.Errorf("an unknown key is lost: %s", encode(t, sparse))
	}
}

func TestStateHasWhatUpstreamReads(t *testing.T) {
	d := startDaemon(t)
	a, b := startApp(t, "a"), startApp(t, "b")
	d.must("deploy", "web", "--target", a.target(), "--deploy-timeout", "7s", "--buffer-requests", "--buffer-responses", "--log-request-header", "Cache-Control")
	d.must("rollout", "deploy", "web", "--target", b.target())
	d.must("rollout", "set", "web", "--percent", "50", "--list", "alice")
	d.must("stop", "web", "--message", "m")
	want := fixture(t, "state-written.json", a.target(), b.target(), filepath.Join(d.home, ".config", "kamal-proxy", "certs"))
	var wanted []map[string]any
	if err := json.Unmarshal([]byte(want), &wanted); err != nil {
		t.Fatal(err)
	}
	if got := d.state()["web"]; !reflect.DeepEqual(got, wanted[0]) {
		t.Errorf("the entry is\n%s\nwant\n%s", encode(t, got), encode(t, wanted[0]))
	}
	for path, mode := range map[string]os.FileMode{filepath.Dir(d.statePath()): 0o700, d.statePath(): 0o600} {
		if info, err := os.Stat(path); err != nil || info.Mode().Perm() != mode {
			t.Errorf("%s: %v, %v, want mode %o", path, info.Mode(), err, mode)
		}
	}
}

func TestWhatUpstreamRefusesIsKeptBesideItsFile(t *testing.T) {
	d := startDaemon(t)
	a, six := startApp(t, "a"), startAppOn(t, "[::1]:0", "six")
	d.must("deploy", "plain", "--host", "plain.example", "--target", a.target())
	for _, args := range [][]string{
		{"six", "--host", "six.example", "--target", six.target()},
		{"letter", "--host", "letter.example", "--target", "w", "--force"},
		{"reader", "--host", "reader.example", "--target", a.target(), "--read-target", six.target()},
	} {
		if _, stderr, code := d.run(append([]string{"deploy"}, args...)...); code != 0 || !strings.Contains(stderr, "upstream") {
			t.Errorf("deploy %v: exit %d, %q, want success and a word about upstream", args, code, stderr)
		}
	}
	if now := d.state(); len(now) != 1 || now["plain"] == nil {
		t.Errorf("the state has %d services, want plain alone: upstream drops all for one that it does not load", len(now))
	}
	more, err := os.ReadFile(d.statePath() + ".more")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{`"six"`, `"letter"`, `"reader"`} {
		if !strings.Contains(string(more), name) {
			t.Errorf("%s is not in the file beside it", name)
		}
	}
	serve := func(when string) {
		t.Helper()
		for host, want := range map[string]string{"plain.example": "a", "six.example": "six", "reader.example": "six"} {
			if _, body := d.get(host, "/"); body != want {
				t.Errorf("%s: %s answers %q, want %s", when, host, body, want)
			}
		}
	}
	serve("at first")
	d.kill()
	d.start()
	serve("after a restart")

	// Upstream runs for a while, and writes its file anew.
	d.kill()
	data, err := os.ReadFile(d.statePath())
	if err != nil {
		t.Fatal(err)
	}
	var entries []map[string]any
	if err := json.Unmarshal(data, &entries); err != nil {
		t.Fatal(err)
	}
	other := map[string]any{"name": "theirs", "options": map[string]any{"hosts": []string{"theirs.example"}}, "active_targets": []string{a.target()}}
	if err := os.WriteFile(d.statePath(), []byte(encode(t, append(entries, other))), 0o644); err != nil {
		t.Fatal(err)
	}
	d.start()
	serve("after upstream was there")
	if _, body := d.get("theirs.example", "/"); body != "a" {
		t.Errorf("what upstream deployed answers %q", body)
	}
	d.must("remove", "six")
	if code, _ := d.get("six.example", "/"); code != http.StatusNotFound {
		t.Errorf("a removed service answers %d", code)
	}
	d.kill()
	d.start()
	if code, _ := d.get("six.example", "/"); code != http.StatusNotFound {
		t.Errorf("a removed service is back: %d", code)
	}
}

func TestOneBadEntryCostsNoOther(t *testing.T) {
	a := startApp(t, "a")
	d := startWithState(t, fixture(t, "state-faulty.json", a.target()))
	for host, want := range map[string]int{
		"good.example": 200, "uncertain.example": 301, "plainpage.example": 200, "hasty.example": 200, "null.example": 200,
		"untyped.example": 404, "homeless.example": 404,
	} {
		request := d.request("GET", host, "/", nil)
		if response, body := do(t, request); response.StatusCode != want || want == 200 && body != "a" {
			t.Errorf("%s answers %d %.20q, want %d", host, response.StatusCode, body, want)
		}
	}
	for _, word := range []string{"uncertain", "plainpage", "untyped", "homeless"} {
		told := false
		for _, line := range d.log.lines() {
			told = told || strings.Contains(line, word) && strings.Contains(line, `"ERROR"`)
		}
		if !told {
			t.Errorf("what is wrong with %s is not told", word)
		}
	}
	d.must("deploy", "hasty", "--host", "hasty.example", "--target", a.target())
}

func TestBackupIsForDamageOnly(t *testing.T) {
	d := startDaemon(t)
	a := startApp(t, "a")
	d.must("deploy", "one", "--host", "one.example", "--target", a.target())
	d.must("deploy", "two", "--host", "two.example", "--target", a.target())
	d.kill()
	if _, err := os.Stat(d.statePath() + ".bak"); err != nil {
		t.Errorf("there is no backup: %v", err)
	}
	if err := os.Remove(d.statePath()); err != nil {
		t.Fatal(err)
	}
	d.start()
	if code, _ := d.get("one.example", "/"); code != http.StatusNotFound {
		t.Errorf("the state was removed, and one.example answers %d", code)
	}
	if !strings.Contains(d.log.String(), "No previous state to restore") {
		t.Error("a start without a state does not say so")
	}
}

func TestEmptyStates(t *testing.T) {
	for _, text := range []string{"[]", "null", "[]\n"} {
		d := startWithState(t, text)
		a := startApp(t, "a")
		d.must("deploy", "web", "--target", a.target())
	}
}

func TestSavesKeepNoFileOpen(t *testing.T) {
	d := startDaemon(t)
	a := startApp(t, "a")
	d.must("deploy", "web", "--target", a.target())
	folder := fmt.Sprintf("/proc/%d/fd", d.cmd.Process.Pid)
	stateFiles := func() (open int) {
		t.Helper()
		files, err := os.ReadDir(folder)
		if err != nil {
			t.Skipf("open files cannot be seen here: %v", err)
		}
		for _, f := range files {
			if to, err := os.Readlink(filepath.Join(folder, f.Name())); err == nil && strings.HasPrefix(to, filepath.Dir(d.statePath())+"/") {
				open++
			}
		}
		return open
	}
	before := stateFiles()
	for range 10 {
		d.must("stop", "web")
		d.must("resume", "web")
	}
	eventually(t, "20 saves leave no file open", func() error {
		if after := stateFiles(); after > before {
			return fmt.Errorf("%d are", after-before)
		}
		return nil
	})
	files, err := os.ReadDir(filepath.Dir(d.statePath()))
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		if name := f.Name(); name != "kamal-proxy.state" && name != "kamal-proxy.state.bak" && name != "certs" {
			t.Errorf("%s is left in the data folder", name)
		}
	}
}
