package spec

import (
	"encoding/json"
	"math"
	"reflect"
	"strings"
	"testing"
	"time"
)

// today is an entry as basecamp/kamal-proxy 0.9.2 writes it, with every key.
const today = `{"name":"app-web","options":{"hosts":["a.example.com","*.example.com"],"path_prefixes":["/","/api"],` +
	`"tls_enabled":true,"tls_certificate_path":"/c.pem","tls_private_key_path":"/k.pem","tls_on_demand_url":"",` +
	`"tls_redirect":true,"canonical_host":"a.example.com","acme_directory":"https://acme.example/d","acme_cache_path":"/certs",` +
	`"error_page_path":"/pages","strip_prefix":true,"writer_affinity_timeout":3000000000,` +
	`"read_targets_accept_websockets":true,"exclude_metrics_paths":["/up"],"client_ip_header":"X-Real-IP"},` +
	`"target_options":{"health_check_config":{"path":"/up?probe=$x","port":3000,"interval":1000000000,"timeout":5000000000,` +
	`"host":"in.example.com"},"response_timeout":30000000000,"buffer_requests":true,"buffer_responses":true,` +
	`"max_memory_buffer_size":1048576,"max_request_body_size":7,"max_response_body_size":8,` +
	`"log_request_headers":["Cache-Control"],"log_response_headers":[],"forward_headers":true,"scope_cookie_paths":true},` +
	`"active_targets":["web-1:3000","web-2"],"active_readers":["db-1:80"],"rollout_targets":["web-3:3000"],"rollout_readers":[],` +
	`"pause_controller":{"state":2,"stop_message":"Back <soon> \u00e9","fail_after":0},` +
	`"rollout_controller":{"percentage":33,"percentage_split_point":1417339207,"allowlist":["a","b"]}}`

func parse(t *testing.T, entry string) *Record {
	t.Helper()
	r := &Record{}
	if err := json.Unmarshal([]byte(entry), r); err != nil {
		t.Fatalf("%v\n%s", err, entry)
	}
	return r
}

func TestEntryComesBackAsItWas(t *testing.T) {
	r := parse(t, today)
	want := strings.NewReplacer(`<`, `\u003c`, `>`, `\u003e`, `\u00e9`, `é`).Replace(today)
	if got := string(r.AppendJSON(nil)); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	if r.PauseController.State != Stopped || r.PauseController.StopMessage != "Back <soon> é" ||
		r.TargetOptions.HealthCheck.Timeout != 5*time.Second || r.Rollout.PercentageSplitPoint != 1417339207 {
		t.Errorf("misread: %+v", r)
	}
	if viaPackage, err := json.Marshal(r); err != nil || !json.Valid(viaPackage) {
		t.Errorf("json.Marshal: %s, %v", viaPackage, err)
	}
}

func TestAbsentKeysTakeTheDefaultsOfFlags(t *testing.T) {
	for _, entry := range []string{
		`{"name":"a","active_targets":["b:80"]}`,
		`{"name":"a","active_targets":["b:80"],"options":null,"target_options":null,"pause_controller":null}`,
		`{"name":"a","active_targets":["b:80"],"options":{"hosts":[],"path_prefixes":null},"target_options":{"health_check_config":{}}}`,
	} {
		want := &Record{
			Name: "a", Options: DefaultOptions(), TargetOptions: DefaultTargetOptions(), ActiveTargets: []string{"b:80"},
			PauseController: Gate{FailAfter: DefaultMaxPause},
		}
		if got := parse(t, entry); !reflect.DeepEqual(got, want) {
			t.Errorf("%s\ngot  %+v\nwant %+v", entry, got, want)
		}
	}
	if r := parse(t, `{"name":"a","options":{"tls_enabled":true,"tls_redirect":false,"strip_prefix":false}}`); r.TargetOptions.ForwardHeaders ||
		r.Options.TLSRedirect || r.Options.StripPrefix {
		t.Errorf("with TLS forward_headers is false, and a given false stays: %+v", r)
	}
}

func TestEmptyListsAreWrittenAsUpstreamReadsThem(t *testing.T) {
	got := string((&Record{Name: "a", Options: DefaultOptions(), TargetOptions: DefaultTargetOptions()}).AppendJSON(nil))
	for _, part := range []string{
		`"hosts":[""],"path_prefixes":["/"]`, `"exclude_metrics_paths":[]`, `"active_targets":[],"active_readers":[],"rollout_targets":null,"rollout_readers":null`,
		`"pause_controller":{"state":0,"stop_message":"","fail_after":0},"rollout_controller":null}`, `"interval":1000000000`,
	} {
		if !strings.Contains(got, part) {
			t.Errorf("%s is not in %s", part, got)
		}
	}
}

func TestOlderFiles(t *testing.T) {
	r := parse(t, `{"name":"a","hosts":["a.example.com"],"path_prefixes":["/api"],"options":{"tls_enabled":true},`+
		`"active_target":"web:3000","rollout_target":"web-2:3000"}`)
	if !reflect.DeepEqual(r.Options.Hosts, []string{"a.example.com"}) || !reflect.DeepEqual(r.Options.PathPrefixes, []string{"/api"}) ||
		!reflect.DeepEqual(r.ActiveTargets, []string{"web:3000"}) || !reflect.DeepEqual(r.RolloutTargets, []string{"web-2:3000"}) {
		t.Errorf("misread: %+v", r)
	}
	written := string(r.AppendJSON(nil))
	if strings.Contains(written, `"active_target":`) || strings.Contains(written, `"rollout_target":`) || strings.Count(written, `"hosts"`) != 1 {
		t.Errorf("old keys are written again: %s", written)
	}
	if r := parse(t, `{"name":"a","active_target":"","rollout_target":"","hosts":null}`); r.ActiveTargets != nil || r.RolloutTargets != nil {
		t.Errorf("an empty name is no target: %+v", r)
	}
	both := parse(t, `{"name":"a","hosts":["old"],"active_target":"old","active_targets":["new"],"options":{"hosts":["new"]}}`)
	if both.ActiveTargets[0] != "new" || both.Options.Hosts[0] != "new" {
		t.Errorf("the new keys come first: %+v", both)
	}
}

func TestUnknownKeysSurvive(t *testing.T) {
	entry := strings.NewReplacer(
		`{"name":`, `{"z1":{"a":[1, 2]},"name":`, `"options":{`, `"options":{"z2":null,`, `"target_options":{`, `"target_options":{"z3":"x",`,
		`"health_check_config":{`, `"health_check_config":{"z4":1e400,`, `"pause_controller":{`, `"pause_controller":{"z5":true,`,
		`"rollout_controller":{`, `"rollout_controller":{"z6":[],`).Replace(today)
	want := []string{`,"z1":{"a":[1, 2]}}`, `,"z2":null}`, `,"z3":"x"}`, `,"z4":1e400}`, `,"z5":true}`, `,"z6":[]}`}
	check := func(what string, r *Record) {
		t.Helper()
		got := string(r.AppendJSON(nil))
		for _, part := range want {
			if !strings.Contains(got, part) {
				t.Errorf("%s: %s is lost: %s", what, part, got)
			}
		}
		if !json.Valid([]byte(got)) {
			t.Errorf("%s: not JSON: %s", what, got)
		}
	}
	old := parse(t, entry)
	check("read", old)
	check("cloned", old.Clone())
	redeployed := parse(t, today)
	shared := redeployed.Rollout
	redeployed.CarryUnknown(old)
	check("redeployed", redeployed)
	if shared.extra != nil {
		t.Error("the shared rollout was changed")
	}
	redeployed.CarryUnknown(nil)
}

func TestNumbersAreReadLeniently(t *testing.T) {
	r := parse(t, `{"name":"a","target_options":{"response_timeout":3e10},"rollout_controller":{"percentage":33,"percentage_split_point":1417339207.35}}`)
	if r.TargetOptions.ResponseTimeout != 30*time.Second || r.Rollout.PercentageSplitPoint != 1417339207 {
		t.Errorf("misread: %+v %+v", r.TargetOptions, r.Rollout)
	}
	for entry, want := range map[string]uint32{
		`{"percentage":101,"percentage_split_point":4337916967.95}`: math.MaxUint32,
		`{"percentage":-1,"percentage_split_point":-42949672.95}`:   0,
		`{"percentage":50}`: math.MaxUint32 / 2,
	} {
		if r := parse(t, `{"rollout_controller":`+entry+`}`); r.Rollout.PercentageSplitPoint != want {
			t.Errorf("%s: split point %d, want %d", entry, r.Rollout.PercentageSplitPoint, want)
		}
	}
}

func TestBadEntriesAreErrorsThatNameTheKey(t *testing.T) {
	for entry, want := range map[string]string{
		`null`:                      "",
		`[]`:                        "",
		`"x"`:                       "",
		`{"name"`:                   "",
		`{"name":1}`:                "name",
		`{"options":[]}`:            "options",
		`{"options":{"hosts":"a"}}`: "options: hosts",
		`{"active_targets":[1]}`:    "active_targets",
		`{"target_options":{"health_check_config":{"interval":"1s"}}}`: "target_options: health_check_config: interval",
		`{"target_options":{"response_timeout":1.5}}`:                  "response_timeout",
		`{"target_options":{"response_timeout":1e300}}`:                "response_timeout",
		`{"rollout_controller":7}`:                                     "rollout_controller",
	} {
		r := &Record{Name: "before"}
		if err := r.UnmarshalJSON([]byte(entry)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: error %v, want one about %q", entry, err, want)
		}
		if r.Name != "before" {
			t.Errorf("%s: half read", entry)
		}
	}
}

func TestCloneSharesNothing(t *testing.T) {
	original := parse(t, strings.Replace(today, `{"name":`, `{"z":1,"name":`, 1))
	before := string(original.AppendJSON(nil))
	c := original.Clone()
	if !reflect.DeepEqual(c, original) {
		t.Fatalf("got %+v, want %+v", c, original)
	}
	for _, list := range [][]string{
		c.Options.Hosts, c.Options.PathPrefixes, c.Options.ExcludeMetricsPaths, c.TargetOptions.LogRequestHeaders,
		c.ActiveTargets, c.ActiveReaders, c.RolloutTargets, c.Rollout.Allowlist,
	} {
		list[0] = "changed"
	}
	c.Rollout.Percentage, c.extra["z"] = 1, json.RawMessage("2")
	if after := string(original.AppendJSON(nil)); after != before {
		t.Errorf("the original shows it: %s", after)
	}
	if r := (&Record{}).Clone(); r.Rollout != nil || r.RolloutTargets != nil {
		t.Errorf("nothing becomes something: %+v", r)
	}
}

// No bytes bring the reader down; what it reads it also writes, so that it
// reads the same again; and what can be mended is fit to be kept.
func FuzzEntry(f *testing.F) {
	f.Add([]byte(today))
	f.Add([]byte(`{"name":"a","active_target":"b","hosts":["é"],"z":{"a": 1e9}}`))
	f.Add([]byte(`{"name":"a","active_targets":[":80",""],"target_options":{"health_check_config":{"interval":-1}}}`))
	f.Fuzz(func(t *testing.T, entry []byte) {
		r := &Record{}
		if r.UnmarshalJSON(entry) != nil {
			return
		}
		written := r.AppendJSON(nil)
		again := &Record{}
		if err := again.UnmarshalJSON(written); err != nil {
			t.Fatalf("wrote what it cannot read: %v\n%s", err, written)
		}
		if second := string(again.AppendJSON(nil)); second != string(written) {
			t.Fatalf("changed on the way:\n%s\n%s", written, second)
		}
		if _, err := r.Mend(); err == nil {
			if _, err := r.Mend(); err != nil {
				t.Fatalf("mended, and then not: %v", err)
			}
			r.Validate()
			UpstreamLoads(r)
		}
	})
}

func BenchmarkAppendJSON(b *testing.B) {
	r := &Record{}
	if err := json.Unmarshal([]byte(today), r); err != nil {
		b.Fatal(err)
	}
	var buffer []byte
	for b.Loop() {
		buffer = r.AppendJSON(buffer[:0])
	}
}
