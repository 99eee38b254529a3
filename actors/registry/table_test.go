package registry

import (
	"fmt"
	"strings"
	"testing"

	"kamal-proxy/actors/spec"
)

func at(hosts string, prefixes ...string) *spec.Options {
	return &spec.Options{Hosts: strings.Split(hosts, ","), PathPrefixes: prefixes}
}

func TestTableMatch(t *testing.T) {
	table := newTable()
	for name, o := range map[string]*spec.Options{
		"root":  at("a.test", "/"),
		"api":   at("a.test,b.test", "/api", "/api/v2/x"),
		"v2":    at("a.test", "/api/v2"),
		"wild":  at("*.test", "/"),
		"below": at("*.a.test", "/only"),
		"any":   at("", "/", "/deep/in/side"),
		"v6":    at("::1", "/"),
	} {
		table.put(&entry{name: name}, o)
	}
	for _, c := range []struct{ host, path, name, prefix string }{
		{"a.test", "/", "root", "/"},
		{"a.test", "", "root", "/"},
		{"a.test", "*", "root", "/"},
		{"a.test", "/x/y/z", "root", "/"},
		{"a.test", "/api", "api", "/api"},
		{"a.test", "/api/", "api", "/api"},
		{"a.test", "/api/y", "api", "/api"},
		{"a.test", "/apis", "root", "/"},
		{"a.test", "/api/v2", "v2", "/api/v2"},
		{"a.test", "/api/v2/y", "v2", "/api/v2"},
		{"a.test", "/api/v2/x/1/2/3", "api", "/api/v2/x"},
		{"a.test", "/api/v2x", "api", "/api"},
		{"a.test", "//api", "root", "/"},
		{"a.test", "/../api", "root", "/"},
		{"b.test", "/api/v2", "api", "/api"},
		{"b.test", "/", "", ""}, // it is known: it falls to nobody
		{"c.test", "/", "wild", "/"},
		{"c.c.test", "/", "any", "/"}, // exactly one label
		{".test", "/", "any", "/"},
		{"test", "/", "any", "/"},
		{"x.a.test", "/only/1", "below", "/only"},
		{"x.a.test", "/", "", ""},
		{"", "/", "any", "/"},
		{"elsewhere", "/deep/in/side/x", "any", "/deep/in/side"},
		{"elsewhere", "/deep/in", "any", "/"},
		{"::1", "/", "v6", "/"},
	} {
		e, prefix := table.match(c.host, c.path)
		name := ""
		if e != nil {
			name = e.name
		}
		if name != c.name || prefix != c.prefix {
			t.Errorf("%s%s belongs to %q by %q, want %q by %q", c.host, c.path, name, prefix, c.name, c.prefix)
		}
	}
}

func TestTablePutAndTake(t *testing.T) {
	table, one, two := newTable(), &entry{name: "one"}, &entry{name: "two"}
	table.put(one, at("a.test,*.b.test", "/", "/x"))
	table.put(two, at("a.test", "/", "/y")) // what is taken stays
	if table.owner("a.test", "/") != one || table.owner("a.test", "/y") != two || table.owner("*.b.test", "/x") != one {
		t.Error("a route has the wrong owner")
	}
	table.take(two, at("a.test", "/", "/y"))
	if table.owner("a.test", "/") != one || table.owner("a.test", "/y") != nil {
		t.Error("what another has was taken, or what was one's own was not")
	}
	table.take(one, at("a.test,*.b.test", "/", "/x"))
	if len(table.exact)+len(table.wild) != 0 {
		t.Errorf("the table still has %v and %v", table.exact, table.wild)
	}
}

func full(services int) *table {
	table := newTable()
	for i := range services {
		e := &entry{name: fmt.Sprint(i)}
		switch i % 3 {
		case 0:
			table.put(e, at(fmt.Sprintf("h%d.test", i), "/"))
		case 1:
			table.put(e, at(fmt.Sprintf("*.h%d.test", i), "/"))
		case 2:
			table.put(e, at(fmt.Sprintf("h%d.test", i), "/", "/api/v1"))
		}
	}
	return table
}

func TestTenThousandHosts(t *testing.T) {
	table := full(10_000)
	for i := range 10_000 {
		host := fmt.Sprintf("h%d.test", i)
		if i%3 == 1 {
			host = "x." + host
		}
		if e, _ := table.match(host, "/api/v1/x"); e == nil || e.name != fmt.Sprint(i) {
			t.Fatalf("%s belongs to %v", host, e)
		}
	}
	if n := testing.AllocsPerRun(100, func() { table.match("x.h4.test", "/api/v1/x") }); n != 0 {
		t.Errorf("a look-up allocates %v times", n)
	}
}

// The table's part of a request does not grow with the number of services.
func BenchmarkTableMatch(b *testing.B) {
	for _, services := range []int{1, 100, 10_000} {
		b.Run(fmt.Sprint(services), func(b *testing.B) {
			table := full(max(services, 3))
			b.ReportAllocs()
			for b.Loop() {
				table.match("x.h1.test", "/api/v1/x")
			}
		})
	}
}
