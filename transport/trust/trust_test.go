package trust

import (
	"net/netip"
	"strings"
	"testing"
)

func proxies(networks ...string) (ps Proxies) {
	for _, n := range networks {
		ps = append(ps, netip.MustParsePrefix(n))
	}
	return ps
}

func TestWhoIsBelieved(t *testing.T) {
	ps := proxies("10.0.0.0/8", "192.0.2.7/32", "2001:db8::/32", "fe80::/10")
	for address, want := range map[string]bool{
		"10.0.0.1": true, "10.255.255.255": true, "11.0.0.0": false,
		"192.0.2.7": true, "192.0.2.8": false,
		"::ffff:10.0.0.1": true, "::ffff:11.0.0.1": false,
		"2001:db8::1": true, "2001:db9::1": false, "fe80::1%eth0": true, "::1": false,
	} {
		if got := ps.Has(netip.MustParseAddr(address)); got != want {
			t.Errorf("%s: %t", address, got)
		}
	}
	if proxies().Has(netip.MustParseAddr("10.0.0.1")) || ps.Has(netip.Addr{}) {
		t.Error("nobody is believed, or nobody's address")
	}
}

func TestClientIsTheLastWhoIsNoProxy(t *testing.T) {
	ps := proxies("10.0.0.0/8", "2001:db8::/32")
	for value, want := range map[string]string{
		"":                                      "",
		"203.0.113.9":                           "203.0.113.9",
		"6.6.6.6, 203.0.113.9":                  "203.0.113.9",
		"6.6.6.6, 203.0.113.9, 10.0.0.1":        "203.0.113.9",
		"6.6.6.6,203.0.113.9,10.0.0.1,10.9.9.9": "203.0.113.9",
		"10.0.0.1, 10.0.0.2":                    "10.0.0.1",
		"6.6.6.6:80, 203.0.113.9:4242 ,10.0.0.1:9": "203.0.113.9",
		"[2001:db9::7]:443, 2001:db8::1":           "2001:db9::7",
		"[2001:db9::7], [2001:db8::1]":             "2001:db9::7",
		"2001:db9::7":                              "2001:db9::7",
		"::ffff:203.0.113.9, ::ffff:10.0.0.1":      "::ffff:203.0.113.9",
		"6.6.6.6, unknown, 10.0.0.1":               "10.0.0.1",
		"unknown":                                  "",
		"6.6.6.6, ":                                "",
		"6.6.6.6, <script>":                        "",
		"fe80::1%25eth0":                           "",
		"[::1":                                     "",
		"[::1]x":                                   "",
		"1.2.3":                                    "",
		",,,":                                      "",
	} {
		if got := ps.Client(value); got != want {
			t.Errorf("%q: %q, want %q", value, got, want)
		}
	}
}

func TestNamingTheClientCostsNoMemory(t *testing.T) {
	ps := proxies("10.0.0.0/8", "2001:db8::/32")
	for _, value := range []string{"6.6.6.6, 203.0.113.9, 10.0.0.1", "unknown, 10.0.0.1", "a b c"} {
		if n := testing.AllocsPerRun(100, func() { ps.Client(value) }); n != 0 {
			t.Errorf("%q: %v allocations", value, n)
		}
	}
}

// FuzzClient: whatever stands in the field, what is named is an address that
// stands there, and none of a proxy unless all are.
func FuzzClient(f *testing.F) {
	for _, seed := range []string{
		"", "6.6.6.6, 203.0.113.9, 10.0.0.1", "10.0.0.1,10.0.0.2", "[2001:db9::7]:443, 2001:db8::1", "1.1.1.1:1, unknown", "::ffff:10.0.0.1", "[::1", ",,", "1.2.3.4,,10.0.0.1",
	} {
		f.Add(seed)
	}
	ps := proxies("10.0.0.0/8", "2001:db8::/32")
	f.Fuzz(func(t *testing.T, value string) {
		client := ps.Client(value)
		if client == "" {
			return
		}
		address, err := netip.ParseAddr(client)
		if err != nil || !strings.Contains(value, client) {
			t.Fatalf("%q names %q: %v", value, client, err)
		}
		before, _, _ := strings.Cut(value, ",")
		if ps.Has(address) && !strings.Contains(before, client) {
			for hop := range strings.SplitSeq(value, ",") { // it ended at something that is no address
				if _, other := parseHop(strings.Trim(hop, " \t")); !other.IsValid() {
					return
				}
			}
			t.Errorf("%q names %q, which is a proxy's", value, client)
		}
	})
}
