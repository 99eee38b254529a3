package cli

import (
	"fmt"
	"strings"
	"testing"
)

func TestTrustedProxies(t *testing.T) {
	for _, c := range []struct {
		env  map[string]string
		args string
		want string
	}{
		{nil, "", "[]"},
		{nil, "--trusted-proxy 10.0.0.0/8", "[10.0.0.0/8]"},
		{nil, "--trusted-proxy 10.1.2.3/8 --trusted-proxy=192.0.2.7,2001:db8::1/32", "[10.0.0.0/8 192.0.2.7/32 2001:db8::/32]"},
		{nil, "--trusted-proxy ::1,::ffff:10.0.0.0/104,::ffff:192.0.2.7", "[::1/128 10.0.0.0/8 192.0.2.7/32]"},
		{nil, "--trusted-proxy 0.0.0.0/0,::/0", "[0.0.0.0/0 ::/0]"},
		{map[string]string{"KAMAL_PROXY_TRUSTED_PROXY": "10.0.0.0/8, 192.0.2.7", "TRUSTED_PROXY": "::1"}, "", "[10.0.0.0/8 192.0.2.7/32]"},
		{map[string]string{"TRUSTED_PROXY": "::1"}, "", "[::1/128]"},
		{map[string]string{"KAMAL_PROXY_TRUSTED_PROXY": "10.0.0.0/8"}, "--trusted-proxy ::1", "[::1/128]"},
		{map[string]string{"TRUSTED_PROXY": "10.0.0.0/8,nginx"}, "", "[]"}, // another program's: nothing of it
	} {
		o := execute(t, c.env, append([]string{"run"}, strings.Fields(c.args)...)...)
		if o.code != 0 || len(o.ran) != 1 {
			t.Errorf("%v %s: exit %d, %s", c.env, c.args, o.code, o.stderr)
			continue
		}
		if got := fmt.Sprint(o.ran[0].TrustedProxies); got != c.want {
			t.Errorf("%v %s: %s, want %s", c.env, c.args, got, c.want)
		}
	}
}

func TestTrustedProxiesAreNetworks(t *testing.T) {
	for _, wrong := range []string{
		"", "nginx", "10.0.0.0/33", "10.0.0.0/", "10.0.0/8", "10.0.0.0/8,", "fe80::1%eth0", "fe80::/10%eth0", "::ffff:0:0/95",
		"10.0.0.1:80", "[::1]", "010.0.0.1", "10.0.0.0/08", "10.0.0.0/8 ;",
	} {
		o := execute(t, nil, "run", "--trusted-proxy", wrong)
		if o.code != 1 || len(o.ran) != 0 || !strings.HasPrefix(o.stderr, "Error: ") || !strings.Contains(o.stderr, "is no network") {
			t.Errorf("%q: exit %d, %s", wrong, o.code, o.stderr)
		}
	}
}
