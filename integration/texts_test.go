package integration

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// The words that scripts grep for.
func TestTextsThatScriptsKnow(t *testing.T) {
	d := startDaemon(t)
	a := startApp(t, "a")
	d.must("deploy", "web", "--target", a.target(), "--host", "web.example")
	dir := t.TempDir()
	junk := filepath.Join(dir, "junk.pem")
	if err := os.WriteFile(junk, []byte("junk"), 0o600); err != nil {
		t.Fatal(err)
	}
	const invalid = "service options invalid: "
	for _, c := range []struct{ want, flags string }{
		{"max-request-body can only be set when request buffering is enabled", "--max-request-body 0"},
		{"max-response-body can only be set when response buffering is enabled", "--max-response-body 1"},
		{"automatic TLS does not support wildcards", "--tls --host *.x.example"},
		{"unable to load certificate", "--tls --host x.example --tls-certificate-path " + junk + " --tls-private-key-path " + junk},
		{"unable to load error pages", "--error-pages " + dir + "/none"},
		{invalid + "host must be set when using TLS", "--tls"},
		{invalid + "TLS settings must be specified on the root path service", "--tls --host x.example --path-prefix /api"},
		{invalid + "TLS must be enabled to use a TLS on-demand URL", "--tls-on-demand-url /allow"},
		{invalid + "cannot set hosts when using a TLS on-demand URL", "--tls --host x.example --tls-on-demand-url /allow"},
		{invalid + "cannot use a custom TLS certificate with a TLS on-demand URL", "--tls --tls-on-demand-url /allow --tls-certificate-path " + junk + " --tls-private-key-path " + junk},
		{invalid + "cannot set a canonical host when using a TLS on-demand URL", "--tls --tls-on-demand-url /allow --canonical-host x.example"},
		{invalid + "canonical-host 'y.example' must be present in the hosts list: [x.example z.example]", "--host x.example,z.example --canonical-host y.example"},
		{invalid + "tls-on-demand-url must be a path or an absolute http(s) URL", "--tls --tls-on-demand-url allow"},
		{invalid + "unable to parse tls-on-demand-url: ", "--tls --tls-on-demand-url http://[::1"},
		{invalid + `unsupported scheme "ftp" in tls-on-demand-url`, "--tls --tls-on-demand-url ftp://x/y"},
		{invalid + "missing host in tls-on-demand-url", "--tls --tls-on-demand-url http:///y"},
		{"host is used by another service", "--host web.example"},
	} {
		d.refused("Error: "+c.want, append([]string{"deploy", "other", "--target", a.target()}, strings.Fields(c.flags)...)...)
	}
	d.refused("Error: http://x :invalid host pattern", "deploy", "other", "--target", "http://x")
	d.refused("Error: - :invalid host pattern", "deploy", "other", "--target", "-")
	d.refused("Error: ... :invalid host pattern", "deploy", "other", "--target", "...")
	d.refused("Error: rollout target not set", "rollout", "set", "web", "--percent", "1")
	d.refused("Error: target failed to become healthy within configured timeout (0s)", "deploy", "other", "--target", closedPort(t), "--deploy-timeout", "0s")
	for _, order := range []string{"pause", "stop", "resume", "remove", "rm"} {
		d.refused("Error: service not found", order, "nobody")
	}
	if len(d.rows()) != 1 {
		t.Errorf("refused orders left %+v", d.rows())
	}
}

func TestListTable(t *testing.T) {
	d := startDaemon(t)
	a, b := startApp(t, "a"), startApp(t, "b")
	d.must("deploy", "zoo", "--target", a.target())
	d.must("deploy", "app", "--target", b.target()+","+a.target(), "--read-target", a.target(), "--host", "x.example,*.x.example", "--path-prefix", "/api,/v2")
	d.must("deploy", "mid", "--target", a.target(), "--host", "mid.example", "--tls", "--tls-acme-directory", "https://127.0.0.1:1/nobody")
	d.must("pause", "app")
	d.must("stop", "mid")
	out, _, _ := d.run("list")
	if strings.Contains(out, "\x1b") {
		t.Error("there are colours where there is no terminal")
	}
	var got [][]string
	for line := range strings.Lines(out) {
		got = append(got, strings.Fields(line))
	}
	want := [][]string{
		{"Service", "Host", "Path", "Target", "State", "TLS"},
		{"app", "x.example,*.x.example", "/api,/v2", b.target() + "," + a.target() + "," + a.target(), "paused", "no"},
		{"mid", "mid.example", "/", a.target(), "stopped", "yes"},
		{"zoo", "*", "/", a.target(), "running", "no"},
	}
	if encode(t, got) != encode(t, want) {
		t.Errorf("list says\n%s", out)
	}
	for _, args := range [][]string{{"ls"}, {"list", "--output", "table"}} {
		if again, _, code := d.run(args...); code != 0 || again != out {
			t.Errorf("%v says\n%s", args, again)
		}
	}
	if wide, _, code := d.run("list", "--output", "wide"); code != 0 || !strings.Contains(wide, "/up every 1s") {
		t.Errorf("list --output wide: exit %d\n%s", code, wide)
	}
}
