package spec

import (
	"strings"
	"testing"
)

func TestNormalizeHost(t *testing.T) {
	for given, want := range map[string]string{
		"":                        "",
		"  ":                      "",
		"*":                       "",
		"Example.COM":             "example.com",
		" b.example.com\t":        "b.example.com",
		"example.com.":            "example.com",
		"*.Example.com":           "*.example.com",
		"münchen.example":         "xn--mnchen-3ya.example",
		"*.MÜNCHEN.example":       "*.xn--mnchen-3ya.example",
		"faß.de":                  "xn--fa-hia.de",
		"xn--mnchen-3ya.example":  "xn--mnchen-3ya.example",
		"bücher。example":          "xn--bcher-kva.example",
		"localhost":               "localhost",
		"netcat":                  "netcat",
		"my_app.internal":         "my_app.internal",
		"r3---sn-x.example":       "r3---sn-x.example",
		"-a-.example":             "-a-.example",
		"127.0.0.1":               "127.0.0.1",
		"::1":                     "::1",
		"[::1]":                   "::1",
		"[2001:DB8:0:0::1]":       "2001:db8::1",
		strings.Repeat("a", 63):   strings.Repeat("a", 63),
		"a.b.c.d.e.f.example.com": "a.b.c.d.e.f.example.com",
	} {
		got, err := NormalizeHost(given)
		if err != nil || got != want {
			t.Errorf("NormalizeHost(%q) = %q, %v, want %q", given, got, err, want)
		}
		if again, err := NormalizeHost(got); err != nil || again != got {
			t.Errorf("NormalizeHost(%q) = %q, %v, is not normal", got, again, err)
		}
	}
}

func TestNormalizeHostRefuses(t *testing.T) {
	for _, given := range []string{
		"example.com:8080", "[::1]:80", "http://example.com", "a b", "a\nb", "a\x00b", "a..b", ".a", "a..",
		"*.", "*.*.example.com", "a.*.com", "*a.example.com", "user@example.com", "example.com/x", "a?b", "a#b",
		"fe80::1%eth0", "[::1", strings.Repeat("a", 64), strings.Repeat("abc.", 64) + "de", "ü" + strings.Repeat("b", 63),
		"a\u200dxn--", "\xff.example",
	} {
		if got, err := NormalizeHost(given); err == nil {
			t.Errorf("NormalizeHost(%q) = %q, want an error", given, got)
		} else if strings.ContainsAny(err.Error(), "\n\x00") {
			t.Errorf("NormalizeHost(%q): %v is more than a line", given, err)
		}
	}
	if _, err := NormalizeHost("example.com:8080"); !strings.Contains(err.Error(), "port") {
		t.Errorf("%v does not say that the port is at fault", err)
	}
}

func TestRequestHost(t *testing.T) {
	for authority, want := range map[string]string{
		"":                       "",
		"example.com":            "example.com",
		"example.com.":           "example.com",
		"Example.com:8080":       "example.com",
		"example.com.:443":       "example.com",
		"example.com:":           "example.com",
		"127.0.0.1:3000":         "127.0.0.1",
		"[::1]:8080":             "::1",
		"[::1]":                  "::1",
		"::1":                    "::1",
		"[2001:DB8:0:0::1]:80":   "2001:db8::1",
		"münchen.example:80":     "xn--mnchen-3ya.example",
		"XN--MNCHEN-3YA.example": "xn--mnchen-3ya.example",
		":80":                    "",
	} {
		if got := RequestHost(authority); got != want {
			t.Errorf("RequestHost(%q) = %q, want %q", authority, got, want)
		}
	}
}

func TestRequestHostAllocatesNothingWhenNormal(t *testing.T) {
	for _, authority := range []string{"example.com", "example.com.", "example.com:8080"} {
		if n := testing.AllocsPerRun(100, func() { RequestHost(authority) }); n != 0 {
			t.Errorf("RequestHost(%q) allocates %v times", authority, n)
		}
	}
}

// A host that was deployed is found by a request for it, however it is
// written, and nothing that a client sends brings RequestHost down.
func FuzzRequestHost(f *testing.F) {
	for _, s := range []string{"", "a", "A.b:80", "[::1]:80", "[", "]", ":", "[]", "ü", "\xff", "xn--a", "*.a", "[::ffff:1.2.3.4]"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		RequestHost(s)
		host, err := NormalizeHost(s)
		if err != nil || host == AnyHost {
			return
		}
		if again, err := NormalizeHost(host); err != nil || again != host {
			t.Fatalf("NormalizeHost(%q) = %q is not normal: %q, %v", s, host, again, err)
		}
		if got := RequestHost(host); got != host {
			t.Fatalf("RequestHost(%q) = %q", host, got)
		}
	})
}
