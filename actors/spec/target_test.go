package spec

import (
	"strings"
	"testing"
)

func TestParseTarget(t *testing.T) {
	for target, want := range map[string]string{
		"web":                   "web:80",
		"web-1:3000":            "web-1:3000",
		"web_1.internal:8080":   "web_1.internal:8080",
		"1a2b3c4d5e6f:80":       "1a2b3c4d5e6f:80",
		"123456789012:80":       "123456789012:80",
		"123:80":                "123:80",
		"w":                     "w:80",
		"127.0.0.1:65535":       "127.0.0.1:65535",
		"[::1]:3000":            "[::1]:3000",
		"[::1]":                 "[::1]:80",
		"[fe80::1%eth0]:3000":   "[fe80::1%eth0]:3000",
		"Web.Example.COM.:0080": "Web.Example.COM.:80",
	} {
		if got, err := ParseTarget(target); err != nil || got != want {
			t.Errorf("ParseTarget(%q) = %q, %v, want %q", target, got, err, want)
		}
	}
	for _, target := range []string{
		"", ":80", ":", "web:", "web:0", "web:65536", "web:-1", "web:+1", "web:x", "web:80:80", "http://x", "http://x:80", "a b", " web", "a/b", "-a", ".",
		"_", "...", "::1", "[::1", "[::1]3000", "[::1]:", "[1.2.3.4]:80", "[web]:80", "user@web", "web\n", "web\x00", "\xff", "münchen:80",
	} {
		if got, err := ParseTarget(target); err == nil || !strings.HasPrefix(err.Error(), target+" :invalid host pattern: ") {
			t.Errorf("ParseTarget(%q) = %q, %v", target, got, err)
		}
	}
}
