package cli

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/spf13/pflag"
)

// kind is how a flag's value goes on the wire.
type kind int

const (
	list kind = iota
	str
	boolean
	number
	duration
)

// flagFact is what the interface's contract says of a flag.
type flagFact struct {
	kind     kind
	standard any // on the wire, when the flag is not given
}

func seconds(n float64) any { return n * float64(time.Second) }

// deployFlags is the contract's table of deploy.
var deployFlags = map[string]flagFact{
	"target":                  {list, nil},
	"read-target":             {list, nil},
	"host":                    {list, nil},
	"path-prefix":             {list, nil},
	"strip-path-prefix":       {boolean, true},
	"tls":                     {boolean, false},
	"tls-on-demand-url":       {str, ""},
	"tls-staging":             {boolean, false},
	"tls-certificate-path":    {str, ""},
	"tls-private-key-path":    {str, ""},
	"tls-acme-cache-path":     {str, "/home/kamal-proxy/.config/kamal-proxy/certs"},
	"tls-acme-directory":      {str, ""}, // ours
	"tls-acme-ca":             {str, ""}, // ours
	"tls-redirect":            {boolean, true},
	"canonical-host":          {str, ""},
	"deploy-timeout":          {duration, seconds(30)},
	"drain-timeout":           {duration, seconds(30)},
	"force":                   {boolean, false},
	"health-check-path":       {str, "/up"},
	"health-check-port":       {number, 0.0},
	"health-check-host":       {str, ""},
	"health-check-interval":   {duration, seconds(1)},
	"health-check-timeout":    {duration, seconds(5)},
	"writer-affinity-timeout": {duration, seconds(1)},
	"read-target-websockets":  {boolean, false},
	"target-timeout":          {duration, seconds(30)},
	"buffer-requests":         {boolean, nil},
	"buffer-responses":        {boolean, nil},
	"buffer-memory":           {number, 1048576.0},
	"max-request-body":        {number, nil},
	"max-response-body":       {number, nil},
	"error-pages":             {str, ""},
	"log-request-header":      {list, nil},
	"log-response-header":     {list, nil},
	"exclude-metrics-path":    {list, nil},
	"forward-headers":         {boolean, nil},
	"client-ip-header":        {str, ""},
	"scope-cookie-paths":      {boolean, false},
	"lb":                      {str, "round-robin"},
	"sticky":                  {boolean, false},
}

var stopFlags = map[string]flagFact{
	"drain-timeout": {duration, seconds(30)},
	"message":       {str, ""},
}

var removeFlags = map[string]flagFact{"drain-timeout": {duration, seconds(30)}}

// orderFacts are the commands that take a service.
var orderFacts = map[string]struct {
	request string
	flags   map[string]flagFact
}{
	"deploy": {"POST /v1/deploy", deployFlags},
	"stop":   {"POST /v1/stop", stopFlags},
	"remove": {"POST /v1/remove", removeFlags},
	"rm":     {"POST /v1/remove", removeFlags},
	"resume": {"POST /v1/resume", nil},
	"pause": {"POST /v1/pause", map[string]flagFact{
		"drain-timeout": {duration, seconds(30)},
		"max-pause":     {duration, seconds(30)},
	}},
	"rollout deploy": {"POST /v1/rollout/deploy", map[string]flagFact{
		"target":         {list, nil},
		"read-target":    {list, nil},
		"deploy-timeout": {duration, seconds(30)},
		"drain-timeout":  {duration, seconds(30)},
	}},
	"rollout set": {"POST /v1/rollout/set", map[string]flagFact{
		"percent": {number, nil},
		"list":    {list, nil},
	}},
	"rollout stop": {"POST /v1/rollout/stop", nil},
}

// wireOf is the request that a command line must make, worked out without the
// code under test.
func wireOf(t *testing.T, flags map[string]flagFact, args []string) map[string]any {
	t.Helper()
	want := map[string]any{"service": args[0]}
	for name, fact := range flags {
		want[field(name)] = fact.standard
	}
	for _, arg := range args[1:] {
		name, value, valued := strings.Cut(strings.TrimPrefix(arg, "--"), "=")
		if !valued {
			value = "true"
		}
		fact, known := flags[name]
		if !known {
			t.Fatalf("no flag %s is known", name)
		}
		switch fact.kind {
		case list:
			before, _ := want[field(name)].([]any)
			for _, one := range strings.Split(value, ",") {
				before = append(before, one)
			}
			want[field(name)] = before
		case str:
			want[field(name)] = value
		case boolean:
			want[field(name)] = value == "true"
		case number:
			n, err := strconv.ParseFloat(value, 64)
			if err != nil {
				t.Fatal(err)
			}
			want[field(name)] = n
		case duration:
			d, err := time.ParseDuration(value)
			if err != nil {
				t.Fatal(err)
			}
			want[field(name)] = float64(d)
		}
	}
	return want
}

func field(flag string) string { return strings.ReplaceAll(flag, "-", "_") }

func sameWire(t *testing.T, what string, got, want map[string]any) {
	t.Helper()
	for _, key := range slices.Sorted(maps.Keys(want)) {
		if g, there := got[key]; !there || !reflect.DeepEqual(g, want[key]) {
			t.Errorf("%s: %s is %v on the wire, want %v", what, key, g, want[key])
		}
	}
	for key := range got {
		if _, known := want[key]; !known {
			t.Errorf("%s: %s is on the wire and is no flag", what, key)
		}
	}
}

func TestFlagsHaveTheirDefaults(t *testing.T) {
	d := startDaemon(t, "")
	for command, fact := range orderFacts {
		args := []string{"shop"}
		if _, needed := fact.flags["target"]; needed {
			args = append(args, "--target=web:3000")
		}
		if command == "rollout set" {
			args = append(args, "--percent=0")
		}
		o := execute(t, d.env(), append(strings.Fields(command), args...)...)
		if o.code != 0 || o.stdout != "" || o.stderr != "" {
			t.Errorf("%s: exit %d, %q, %q", command, o.code, o.stdout, o.stderr)
			continue
		}
		got := d.take()
		if len(got) != 1 || got[0].line != fact.request {
			t.Errorf("%s: made %v", command, got)
			continue
		}
		sameWire(t, command, got[0].body, wireOf(t, fact.flags, args))
	}
}

func TestEveryFlagIsInTheContract(t *testing.T) {
	a := &app{env: func(string) string { return "" }, console: &console{}}
	for command, fact := range orderFacts {
		cmd, _, err := a.root().Find(strings.Fields(command))
		if err != nil {
			t.Fatal(err)
		}
		missing := maps.Clone(fact.flags)
		cmd.LocalFlags().VisitAll(func(f *pflag.Flag) {
			if _, known := fact.flags[f.Name]; !known {
				t.Errorf("%s --%s is not in the contract", command, f.Name)
			}
			delete(missing, f.Name)
		})
		for name := range missing {
			t.Errorf("%s --%s is missing", command, name)
		}
	}
}

func TestEveryDeployFlagReachesTheWire(t *testing.T) {
	d := startDaemon(t, "")
	tried := map[string]bool{}
	for _, arg := range []string{
		"--read-target=r-1:1,r-2:2", "--host=a.example,*.b.example", "--path-prefix=/api", "--strip-path-prefix=false",
		"--tls-staging", "--tls-acme-cache-path=/certs", "--tls-acme-directory=https://ca.example/dir --tls-acme-ca=/root.pem", "--tls-redirect=false", "--deploy-timeout=1m30s",
		"--drain-timeout=0s", "--force", "--health-check-path=up", "--health-check-port=8080",
		"--health-check-host=check.example", "--health-check-interval=250ms", "--health-check-timeout=2s",
		"--writer-affinity-timeout=0", "--read-target-websockets", "--target-timeout=0s", "--buffer-requests",
		"--buffer-responses=false", "--buffer-memory=0", "--error-pages=/pages", "--log-request-header=A,B",
		"--log-response-header=C", "--exclude-metrics-path=/up", "--forward-headers=false",
		"--client-ip-header=CF-Connecting-IP", "--scope-cookie-paths", "--lb=least --sticky",
		"--buffer-requests --max-request-body=5", "--buffer-responses=false --max-response-body=0",
		"--host=a.example --tls", "--tls --tls-on-demand-url=/ask", "--host=a.example --canonical-host=a.example",
		"--host=a.example --tls --tls-certificate-path=/c --tls-private-key-path=/k",
	} {
		args := append([]string{"shop", "--target=web"}, strings.Fields(arg)...)
		o := execute(t, d.env(), append([]string{"deploy"}, args...)...)
		got := d.take()
		if o.code != 0 || len(got) != 1 {
			t.Errorf("%s: exit %d, %q, %d requests", arg, o.code, o.stderr, len(got))
			continue
		}
		sameWire(t, arg, got[0].body, wireOf(t, deployFlags, args))
		for _, a := range args {
			name, _, _ := strings.Cut(strings.TrimPrefix(a, "--"), "=")
			tried[name] = true
		}
	}
	for name := range deployFlags {
		if !tried[name] {
			t.Errorf("--%s was not tried", name)
		}
	}
}

func TestPathsAreMadeAbsolute(t *testing.T) {
	d := startDaemon(t, "")
	t.Chdir(t.TempDir())
	here, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	o := execute(t, d.env(), "deploy", "shop", "--target=web", "--host=a.example", "--tls",
		"--tls-certificate-path=cert.pem", "--tls-private-key-path=../key.pem", "--error-pages=./pages/", "--tls-acme-cache-path=acme")
	got := d.take()
	if o.code != 0 || len(got) != 1 {
		t.Fatalf("exit %d, %s", o.code, o.stderr)
	}
	for name, want := range map[string]string{
		"tls_certificate_path": "cert.pem",
		"tls_private_key_path": "../key.pem",
		"error_pages":          "pages",
		"tls_acme_cache_path":  "acme",
	} {
		if path := got[0].body[name]; path != filepath.Join(here, want) {
			t.Errorf("%s is %v", name, path)
		}
	}
}

func TestListsAreCSV(t *testing.T) {
	d := startDaemon(t, "")
	execute(t, d.env(), "deploy", "shop", "--target=a,b", "--target=c", `--log-request-header="x,y",z`)
	got := d.take()
	if len(got) != 1 {
		t.Fatal("nothing was sent")
	}
	if s := fmt.Sprintf("%q %q", got[0].body["target"], got[0].body["log_request_header"]); s != `["a" "b" "c"] ["x,y" "z"]` {
		t.Errorf("got %s", s)
	}
}
