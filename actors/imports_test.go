package actors_test

import (
	"os/exec"
	"slices"
	"strings"
	"testing"
)

const (
	house   = "kamal-proxy/"
	library = "github.com/anthdm/hollywood"
)

// never says what a package, or one below it, must not need, even through
// others.
var never = map[string][]string{
	"actors":             {"net/http", house + "transport", house + "cli"},
	"actors/system":      {house + "actors/spec", house + "actors/healthcheck", house + "actors/service", house + "actors/store", house + "actors/registry"},
	"actors/spec":        {house + "actors/system", house + "actors/healthcheck", house + "actors/service", house + "actors/store", house + "actors/registry"},
	"actors/healthcheck": {house + "actors/service", house + "actors/store", house + "actors/registry"},
	"actors/store":       {house + "actors/healthcheck", house + "actors/service", house + "actors/registry"},
	"actors/service":     {house + "actors/store", house + "actors/registry"},
	"transport":          {house + "cli"},
}

// only says which of our packages a package may import itself.
var only = map[string][]string{
	"cli": {"cli", "transport/control", "actors/spec"},
}

func TestImports(t *testing.T) {
	for _, p := range packages(t, "{{join .Deps \" \"}}") {
		for of, forbidden := range never {
			for _, f := range forbidden {
				if i := slices.IndexFunc(p.list, below(f)); i >= 0 && below(house+of)(p.name) {
					t.Errorf("%s must not need %s", p.name, p.list[i])
				}
			}
		}
	}
	for _, p := range packages(t, "{{join .Imports \" \"}}") {
		for _, i := range p.list {
			if below(library)(i) && p.name != house+"actors/system" {
				t.Errorf("%s imports %s: only actors/system does", p.name, i)
			}
			for of, allowed := range only {
				within := func(a string) bool { return below(house + a)(i) }
				if below(house+of)(p.name) && strings.HasPrefix(i, house) && !slices.ContainsFunc(allowed, within) {
					t.Errorf("%s must not import %s", p.name, i)
				}
			}
		}
	}
}

// below reports whether a package is the given one or inside of it.
func below(folder string) func(string) bool {
	return func(name string) bool { return name == folder || strings.HasPrefix(name, folder+"/") }
}

type pkg struct {
	name string
	list []string
}

// packages returns ours, with what a template of go list says of each.
func packages(t *testing.T, template string) []pkg {
	t.Helper()
	out, err := exec.Command("go", "list", "-e", "-f", "{{.ImportPath}} "+template, house+"...").Output()
	if err != nil {
		t.Fatal(err)
	}
	var all []pkg
	for line := range strings.Lines(string(out)) {
		if fields := strings.Fields(line); len(fields) > 0 {
			all = append(all, pkg{fields[0], fields[1:]})
		}
	}
	if len(all) < 5 {
		t.Fatalf("there are only %d packages: this test shows nothing", len(all))
	}
	return all
}

// Profiles show memory, and with it what requests had: only a build with the
// tag pprof has them.
func TestProfilesAreInNoOrdinaryBuild(t *testing.T) {
	for tags, want := range map[string]bool{"": false, "pprof": true} {
		out, err := exec.Command("go", "list", "-tags", tags, "-deps", strings.TrimSuffix(house, "/")).Output()
		if err != nil {
			t.Fatal(err)
		}
		if got := slices.Contains(strings.Fields(string(out)), "net/http/pprof"); got != want {
			t.Errorf("with tags %q net/http/pprof is in the build: %t", tags, got)
		}
	}
}
