package spec

import (
	"encoding/json"
	"strings"
	"testing"
)

// Upstream has none of these keys: a service that does not use them has none.
func TestBalancingIsKeptOnlyWhereItIsChosen(t *testing.T) {
	r := &Record{Name: "web", Options: DefaultOptions(), TargetOptions: DefaultTargetOptions(), ActiveTargets: []string{"web:80"}}
	r.Options.LoadBalancing = RoundRobin
	if err := r.Normalize(); err != nil {
		t.Fatal(err)
	}
	plain := string(r.AppendJSON(nil))
	for _, key := range []string{"load_balancing", "sticky"} {
		if strings.Contains(plain, key) {
			t.Errorf("%s is in %s", key, plain)
		}
	}
	r.Options.LoadBalancing, r.Options.Sticky, r.Options.StickyKey = Least, true, "key"
	if err := r.Normalize(); err != nil {
		t.Fatal(err)
	}
	if err := r.Validate(); err != nil {
		t.Fatal(err)
	}
	if err := UpstreamLoads(r); err != nil {
		t.Errorf("upstream is said not to load it: %v", err)
	}
	var back Record
	if err := json.Unmarshal(r.AppendJSON(nil), &back); err != nil {
		t.Fatal(err)
	}
	if o := back.Options; o.LoadBalancing != Least || !o.Sticky || o.StickyKey != "key" {
		t.Errorf("it comes back as %+v", o)
	}
}

func TestUnknownBalancing(t *testing.T) {
	r := &Record{Name: "web", Options: DefaultOptions(), TargetOptions: DefaultTargetOptions(), ActiveTargets: []string{"web:80"}}
	r.Options.LoadBalancing = "random"
	if err := r.Validate(); err == nil || err.Error() != `lb is "random": it is round-robin or least` {
		t.Errorf("it is refused with %v", err)
	}
	changes, err := r.Mend()
	if err != nil || r.Options.LoadBalancing != "" || len(changes) != 1 {
		t.Errorf("from a file it is %q, %v, %v", r.Options.LoadBalancing, changes, err)
	}
	r.Options.LoadBalancing = RoundRobin
	if changes, err := r.Mend(); err != nil || r.Options.LoadBalancing != "" || len(changes) != 0 {
		t.Errorf("the default is %q, %v, %v", r.Options.LoadBalancing, changes, err)
	}
}
