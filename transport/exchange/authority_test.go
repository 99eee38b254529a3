package exchange

import "testing"

func TestAnAuthorityIsAHostWithAnOptionalPort(t *testing.T) {
	for _, s := range []string{
		"", "a", "a.example", "a.example.", "A_b-c~d.example", "1.2.3.4", "a:80", "a:", "a:0", "a:65535", "a%20b", "a,b;c=d",
		"[::1]", "[::1]:80", "[::1]:", "[fe80::1%eth0]:80", "[::ffff:1.2.3.4]",
	} {
		if !IsAuthority(s) {
			t.Errorf("%q is refused", s)
		}
	}
	for _, s := range []string{
		":80", ":", "a:b", "a:80b", "a:-1", "a:+1", "a:65536", "a:000080", "a:80:81", "a:80.b", "u@a", "u:p@a", "a/", "a?", "a#", `a\`, "a b", "a\t",
		"a\x00", "\u00e9", "<a>", `"a"`, "::1", "[", "[]", "[::1", "::1]", "[a]", "[1.2.3.4]", "[::1]a", "a[::1]", "[::1]80", "[::1%a/b]", "[::1]:x",
	} {
		if IsAuthority(s) {
			t.Errorf("%q is taken", s)
		}
	}
}
