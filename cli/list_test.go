package cli

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"kamal-proxy/actors/spec"
	"kamal-proxy/transport/control"
)

func golden(t *testing.T, name, got string) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if os.Getenv("UPDATE_GOLDEN") != "" {
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("%s\ngot\n%s\nwant\n%s", name, got, want)
	}
}

func someRows(t *testing.T) []control.Row {
	t.Helper()
	rollout, err := spec.NewRollout(10, []string{"anna", "ben"})
	if err != nil {
		t.Fatal(err)
	}
	api := &spec.Record{Name: "api", Options: spec.DefaultOptions(), TargetOptions: spec.DefaultTargetOptions()}
	api.TargetOptions.HealthCheck.Port = 8081
	shop := &spec.Record{
		Name: "shop", Options: spec.DefaultOptions(), TargetOptions: spec.DefaultTargetOptions(),
		RolloutTargets: []string{"new:3000"}, Rollout: rollout,
		PauseController: spec.Gate{State: spec.Stopped, StopMessage: "Back <soon>\x1b[2J"},
	}
	shop.Options.TLSEnabled = true
	shop.TargetOptions.BufferRequests, shop.TargetOptions.BufferResponses = true, true
	shop.Options.LoadBalancing, shop.Options.Sticky = spec.Least, true
	since := time.Date(2026, 1, 2, 15, 4, 5, 0, time.UTC)
	wiki := &spec.Record{Name: "wiki", Options: spec.DefaultOptions(), TargetOptions: spec.DefaultTargetOptions()}
	return []control.Row{
		{Service: "api", Hosts: []string{"*"}, Paths: []string{"/"}, Targets: []string{"api-1:80"}, State: "running", Record: api,
			Health: []control.Condition{{Target: "api-1:80", Role: "writer", Health: control.Well}}},
		{Service: "shop", Hosts: []string{"shop.example.com", "www.shop.example.com"}, Paths: []string{"/"}, Targets: []string{"web-1:3000", "web-2:3000"}, State: "stopped", TLS: true, Record: shop,
			Health: []control.Condition{
				{Target: "web-1:3000", Role: "writer", Health: control.Failing, Since: &since, Failures: 3, Error: "connection refused", InFlight: 2},
				{Target: "web-2:3000", Role: "writer", Health: control.Well},
				{Target: "new:3000", Role: "rollout writer", Health: control.Unhealthy},
			}},
		{Service: "wiki", Hosts: []string{"shop.example.com"}, Paths: []string{"/wiki", "/w"}, Targets: []string{"wiki"}, State: "paused", Record: wiki},
	}
}

func TestListTable(t *testing.T) {
	answer, err := json.Marshal(someRows(t))
	if err != nil {
		t.Fatal(err)
	}
	d := startDaemon(t, string(answer))
	for name, args := range map[string][]string{
		"list.golden":      {"list"},
		"list-wide.golden": {"ls", "-o", "wide"},
		"list-json.golden": {"list", "--output=json"},
	} {
		o := execute(t, d.env(), args...)
		if o.code != 0 || o.stderr != "" {
			t.Errorf("%s: exit %d, %s", name, o.code, o.stderr)
		}
		golden(t, name, o.stdout)
	}
	if got := d.take()[0].line; got != "GET /v1/list" {
		t.Errorf("made %s", got)
	}
}

func TestListJSONIsWhatTheDaemonSaid(t *testing.T) {
	rows := someRows(t)
	var b bytes.Buffer
	if err := writeJSON(&b, rows); err != nil {
		t.Fatal(err)
	}
	var got []control.Row
	if err := json.Unmarshal(b.Bytes(), &got); err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(got[1].Record.Rollout.Allowlist, []string{"anna", "ben"}) || got[2].Record.Options.PathPrefixes[0] != "/" {
		t.Errorf("got %s", &b)
	}
}

func TestListColours(t *testing.T) {
	for _, test := range []struct {
		terminal, plain, want bool
	}{{true, false, true}, {true, true, false}, {false, false, false}} {
		var b bytes.Buffer
		c := &console{out: &b, outTTY: test.terminal, plain: test.plain}
		if err := c.list(someRows(t), narrow); err != nil {
			t.Fatal(err)
		}
		if got := strings.Contains(b.String(), "\x1b["); got != test.want {
			t.Errorf("terminal %v, plain %v: colours %v", test.terminal, test.plain, got)
		}
		for _, paint := range []string{"\x1b[1mService\x1b[0m", "\x1b[32mrunning\x1b[0m  no", "\x1b[33mpaused\x1b[0m   no", "\x1b[31mstopped\x1b[0m  yes"} {
			if test.want && !strings.Contains(b.String(), paint) {
				t.Errorf("%q is missing in\n%s", paint, &b)
			}
		}
	}
}

func TestNoColourIsRespected(t *testing.T) {
	for name, value := range map[string]string{"NO_COLOR": "1", "TERM": "dumb"} {
		c := newConsole(func(asked string) string {
			if asked == name {
				return value
			}
			return ""
		}, &bytes.Buffer{}, &bytes.Buffer{})
		if !c.plain {
			t.Errorf("%s=%s is not respected", name, value)
		}
	}
}

func TestListOfNothing(t *testing.T) {
	d := startDaemon(t, "[]")
	if o := execute(t, d.env(), "list"); o.stdout != "Service  Host  Path  Target  State  TLS\n" {
		t.Errorf("got %q", o.stdout)
	}
	if o := execute(t, d.env(), "list", "-o", "json"); o.stdout != "[]\n" {
		t.Errorf("got %q", o.stdout)
	}
}

func TestStopMessageOfAServiceThatIsResumedIsNotListed(t *testing.T) {
	r := &spec.Record{PauseController: spec.Gate{State: spec.Running, StopMessage: "Back soon"}}
	if got := stopMessage(r); got != "" {
		t.Errorf("a running service is listed with %q", got)
	}
}
