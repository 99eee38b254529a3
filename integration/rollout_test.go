package integration

import (
	"fmt"
	"hash/fnv"
	"math"
	"net/http"
	"testing"
)

// groupOf sends a request with a value of the rollout cookie.
func groupOf(t *testing.T, d *daemon, value string) string {
	t.Helper()
	if value == "" {
		by, _ := servedBy(t, d, "GET")
		return by
	}
	by, _ := servedBy(t, d, "GET", &http.Cookie{Name: "kamal-rollout", Value: value})
	return by
}

func TestRolloutGoesByTheCookie(t *testing.T) {
	d := startDaemon(t)
	active, canary, next := startApp(t, "active"), startApp(t, "canary"), startApp(t, "next")
	d.refused("service not found", "rollout", "deploy", "web", "--target", canary.target())
	d.must("deploy", "web", "--target", active.target())
	d.refused("rollout target not set", "rollout", "set", "web", "--percent", "10")
	d.must("rollout", "deploy", "web", "--target", canary.target())
	if by := groupOf(t, d, "x"); by != "active" {
		t.Errorf("before rollout set, %s serves", by)
	}

	d.must("rollout", "set", "web", "--percent", "40", "--list", "alice,bob", "--list", "carol")
	// The group of a cookie is the same as upstream's: clients must not change sides with a swap.
	check := func(serving string) {
		t.Helper()
		in := 0
		for i := range 60 {
			value := fmt.Sprintf("visitor-%d", i)
			h := fnv.New32a()
			h.Write([]byte(value))
			want := serving
			if float64(h.Sum32()) <= float64(math.MaxUint32)*40/100 {
				want = "canary"
				in++
			}
			if by := groupOf(t, d, value); by != want {
				t.Errorf("%s went to %s, want %s", value, by, want)
			}
		}
		if in == 0 || in == 60 {
			t.Errorf("%d of 60 are in the rollout: the test shows nothing", in)
		}
		for _, name := range []string{"alice", "bob", "carol"} {
			if by := groupOf(t, d, name); by != "canary" {
				t.Errorf("%s of the list went to %s", name, by)
			}
		}
		if by := groupOf(t, d, ""); by != serving {
			t.Errorf("without a cookie %s serves", by)
		}
	}
	check("active")
	d.must("deploy", "web", "--target", next.target())
	check("next")
	d.kill()
	d.start()
	check("next")

	d.must("rollout", "set", "web", "--percent", "0")
	if by := groupOf(t, d, "alice"); by != "next" {
		t.Errorf("with 0 percent and no list %s serves", by)
	}
	d.must("rollout", "set", "web", "--percent", "100")
	if by := groupOf(t, d, "anybody"); by != "canary" {
		t.Errorf("with 100 percent %s serves", by)
	}
	d.must("rollout", "stop", "web")
	if by := groupOf(t, d, "anybody"); by != "next" {
		t.Errorf("after rollout stop %s serves", by)
	}
}

func TestRolloutIsRefused(t *testing.T) {
	d := startDaemon(t)
	a := startApp(t, "a")
	d.must("deploy", "web", "--target", a.target())
	d.must("rollout", "deploy", "web", "--target", a.target())
	d.refused("percent", "rollout", "set", "web", "--percent", "101")
	d.refused("percent", "rollout", "set", "web", "--percent", "-1")
	d.refused("a percent or a list", "rollout", "set", "web")
	d.refused("target failed to become healthy within configured timeout (200ms)",
		"rollout", "deploy", "web", "--target", closedPort(t), "--deploy-timeout", "200ms")
	d.refused(":80 :invalid host pattern", "rollout", "deploy", "web", "--target", ":80")
	for _, args := range [][]string{{"set", "--percent", "1"}, {"stop"}} {
		d.refused("service not found", append([]string{"rollout", args[0], "nobody"}, args[1:]...)...)
	}
}
