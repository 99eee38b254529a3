package service

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"kamal-proxy/actors/healthcheck"
	"kamal-proxy/actors/spec"
)

func TestRotation(t *testing.T) {
	rotate := func(health string, n int) string {
		var r rotation
		for i, h := range health {
			r.targets = append(r.targets, &target{name: string(rune('a' + i)), healthy: h == '+'})
		}
		r.arrange(false)
		var names strings.Builder
		for range n {
			if t := r.next(); t != nil {
				names.WriteString(t.name)
			} else {
				names.WriteByte('.')
			}
		}
		return names.String()
	}
	for health, want := range map[string]string{"": "......", "+": "aaaaaa", "-": "......", "+++": "abcabc", "+-+": "acacac", "--+": "cccccc"} {
		if got := rotate(health, 6); got != want {
			t.Errorf("targets that are %q take turns as %q, want %q", health, got, want)
		}
	}
}

func TestStripPrefix(t *testing.T) {
	for _, c := range [][3]string{
		{"/api/x", "/api", "/x"}, {"/api", "/api", "/"}, {"/api/", "/api", "/"}, {"/api//x", "/api", "//x"},
		{"/a%2Fb/c%2Fd", "/a%2Fb", "/c%2Fd"}, {"/x", "/", "/x"},
	} {
		if got := stripPrefix(c[0], c[1]); got != c[2] {
			t.Errorf("%s without %s is %s, want %s", c[0], c[1], got, c[2])
		}
	}
}

func TestLeases(t *testing.T) {
	var ls leases
	l := []*Lease{{}, {}, {}}
	for _, l := range l {
		ls.add(l)
	}
	walk := func() (n int) {
		var before *Lease
		for x := ls.first; x != nil; x = x.next {
			if x.previous != before {
				t.Fatal("the list is not whole")
			}
			before, n = x, n+1
		}
		return n
	}
	for i, gone := range []*Lease{l[1], l[2], l[0]} {
		ls.remove(gone)
		if want := 2 - i; ls.count != want || walk() != want {
			t.Errorf("%d are counted and %d are there, want %d", ls.count, walk(), want)
		}
	}
}

func TestGate(t *testing.T) {
	now := time.Now()
	g := gate{Gate: spec.Gate{State: spec.Paused, FailAfter: 3 * time.Second}}
	r := []*Route{NewRoute(), NewRoute(), NewRoute(), NewRoute()}
	if !g.hold(r[0], now, 3) || !g.hold(r[1], now, 3) {
		t.Fatal("there is no place")
	}
	g.FailAfter = time.Second
	if !g.hold(r[2], now, 3) || g.hold(r[3], now, 3) {
		t.Error("the limit does not hold")
	}
	if next, _ := g.next(); !next.Equal(now.Add(time.Second)) {
		t.Errorf("the next is over at %v", next.Sub(now))
	}
	if over := g.expired(now.Add(time.Second)); len(over) != 1 || over[0] != r[2] {
		t.Errorf("%d are over", len(over))
	}
	g.leave(r[0])
	g.leave(r[3]) // it was never there
	if g.shift() != r[1] || g.shift() != nil {
		t.Error("others are left than should be")
	}
	if _, any := g.next(); any {
		t.Error("an empty queue waits for something")
	}
}

func TestReports(t *testing.T) {
	var rs reports
	for _, status := range []int{500, 500, 502, 503, 503, 503, 504} {
		rs.add(healthcheck.Result{Status: status})
	}
	var got []string
	for _, r := range rs {
		got = append(got, r.describe(spec.HealthCheck{Path: "/up"}))
	}
	want := "[answered 502 for GET /up answered 503 for GET /up (3 times) answered 504 for GET /up]"
	if fmt.Sprint(got) != want {
		t.Errorf("the last reports are %v, want %v", got, want)
	}
}

func TestHints(t *testing.T) {
	check := spec.DefaultHealthCheck()
	for status, want := range map[int]string{200: "", 204: "", 302: "redirect", 400: "host", 401: "credentials", 403: "host", 404: "path", 418: "", 421: "host", 500: "log", 503: "log"} {
		got := hint(healthcheck.Result{Status: status}, "t:80", check)
		if (got == "") != (want == "") || !strings.Contains(got, want) {
			t.Errorf("the hint for %d is %q, want %q in it", status, got, want)
		}
	}
}
