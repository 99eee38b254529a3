package cli

import (
	"strings"
	"testing"
)

func TestHelp(t *testing.T) {
	for line, want := range map[string][]string{
		"":                  {"Usage:\n  kamal-proxy <command>", "  deploy ", "  rollout "},
		"help":              {"Usage:\n  kamal-proxy <command>"},
		"help run":          {"kamal-proxy run [flags]", "--http-port", "(default 80)", "KAMAL_PROXY_HTTP_PORT"},
		"run --help":        {"kamal-proxy run [flags]"},
		"help rm":           {"kamal-proxy remove <service>"},
		"deploy -h":         {"Health checks:\n", "--health-check-path", "TLS:\n", "Examples:\n"},
		"rollout":           {"kamal-proxy rollout <command>", "  set "},
		"help rollout stop": {"kamal-proxy rollout stop <service>\n"},
		"help help":         {"kamal-proxy help [command]\n"},
	} {
		o := execute(t, nil, strings.Fields(line)...)
		if o.code != 0 || o.stderr != "" {
			t.Errorf("%s: exit %d, %s", line, o.code, o.stderr)
		}
		for _, part := range want {
			if !strings.Contains(o.stdout, part) {
				t.Errorf("%s: %q is missing in\n%s", line, part, o.stdout)
			}
		}
	}
}

func TestHelpNamesEveryFlag(t *testing.T) {
	o := execute(t, nil, "help", "deploy")
	for name := range deployFlags {
		if !strings.Contains(o.stdout, "      --"+name) {
			t.Errorf("--%s is missing", name)
		}
	}
	for _, line := range strings.Split(o.stdout, "\n") {
		if len(line) > helpWidth {
			t.Errorf("a line is too long: %s", line)
		}
	}
}

func TestVersion(t *testing.T) {
	defer func(was string) { Version = was }(Version)
	Version = "1.2.3"
	for _, line := range []string{"version", "--version"} {
		if o := execute(t, nil, line); o.code != 0 || o.stdout != "1.2.3\n" {
			t.Errorf("%s: exit %d, %q", line, o.code, o.stdout)
		}
	}
}
