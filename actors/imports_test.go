package actors_test

import (
	"os"
	"os/exec"
	"path"
	"regexp"
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

// The table of rooms has each package, and each imports what it says there. A
// folder is named by its last part; "orders" stands for what control tells.
func TestRoomsAreAsDrawn(t *testing.T) {
	page, err := os.ReadFile("../docs/architecture.md")
	if err != nil {
		t.Fatal(err)
	}
	knows := map[string]string{}
	for _, m := range regexp.MustCompile("(?m)^\\| `([a-z0-9/]+)` \\|[^|]*\\|([^|]*)\\|$").FindAllStringSubmatch(string(page), -1) {
		knows[house+m[1]] = m[2]
	}
	everywhere := []string{house + "actors/system"}
	for _, p := range packages(t, "{{join .Imports \" \"}}") {
		if !below(house+"actors")(p.name) && !below(house+"transport")(p.name) && !below(house+"cli")(p.name) || p.name == house+"actors" {
			continue
		}
		may, there := knows[p.name]
		delete(knows, p.name)
		if !there {
			t.Errorf("%s is not in the table of rooms", p.name)
			continue
		}
		for _, i := range p.list {
			named := regexp.MustCompile(`\b` + path.Base(i) + `\b`).MatchString(may)
			orders := strings.Contains(may, "orders") && below(house+"actors")(i)
			if strings.HasPrefix(i, house) && !named && !orders && !slices.Contains(everywhere, i) {
				t.Errorf("%s imports %s, and may know:%s", p.name, i, may)
			}
		}
	}
	for name := range knows {
		t.Errorf("%s is in the table of rooms, and is not there", name)
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
