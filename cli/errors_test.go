package cli

import (
	"bytes"
	"errors"
	"path/filepath"
	"strings"
	"testing"
)

func TestErrorsAreOneLine(t *testing.T) {
	d := startDaemon(t, "")
	for line, want := range map[string]string{
		"deploy shop --target=web --x":                       `unknown flag: --x: "kamal-proxy deploy --help" lists those there are`,
		"deploy shop more --target=web":                      `accepts 1 arg(s), received 2: it is used as "kamal-proxy deploy <service> --target <host:port> [flags]"`,
		"deploy --target=web":                                `accepts 1 arg(s), received 0: it is used as "kamal-proxy deploy <service> --target <host:port> [flags]"`,
		"deploy shop":                                        `required flag(s) "target" not set`,
		"deploy shop --target=:80":                           ":80 :invalid host pattern: a target is host or host:port, such as web-1:3000",
		"deploy shop --target= --force":                      "no target is given: name at least one with --target",
		"deploy shop --target=web --deploy-timeout=30":       `invalid argument "30" for "--deploy-timeout" flag: must be a duration like "30s" or "5m"`,
		"deploy shop --target=web --tls=maybe":               `invalid argument "maybe" for "--tls" flag: must be true or false`,
		"deploy shop --target=web --max-request-body=1":      "max-request-body can only be set when request buffering is enabled",
		"deploy shop --target=web --max-request-body=0":      "max-request-body can only be set when request buffering is enabled",
		"deploy shop --target=web --max-response-body=1":     "max-response-body can only be set when response buffering is enabled",
		"deploy shop --target=web --tls":                     "service options invalid: host must be set when using TLS",
		"deploy shop --target=web --tls --host=*.a.example":  "automatic TLS does not support wildcards",
		"deploy shop --target=web --health-check-interval=0": "health-check-interval is 0s: it must be more than 0",
		"deploy shop --target=web --buffer-memory=-1":        "buffer-memory is -1: it must not be negative",
		"deploy shop --target=web --drain-timeout=-1s":       "drain-timeout is -1s: it must not be negative",
		"remove":                         `accepts 1 arg(s), received 0: it is used as "kamal-proxy remove <service> [flags]"`,
		"resume":                         `accepts 1 arg(s), received 0: it is used as "kamal-proxy resume <service>"`,
		"remove shop --target=x":         `unknown flag: --target: "kamal-proxy remove --help" lists those there are`,
		"pause shop --max-pause=-1s":     "max-pause is -1s: it must not be negative",
		"rollout set shop":               "a rollout needs a percent or a list: give at least one",
		"rollout set shop --percent=101": "percent is 101: it goes from 0 to 100",
		"rollout set shop --percent=-1":  "percent is -1: it goes from 0 to 100",
		"rollout dance":                  `unknown command "dance" for "kamal-proxy rollout": "kamal-proxy help rollout" lists those there are`,
		"dance":                          `unknown command "dance" for "kamal-proxy": "kamal-proxy help" lists those there are`,
		"help dance":                     `unknown command "dance" for "kamal-proxy": "kamal-proxy help" lists those there are`,
		"list shop":                      `unknown command "shop" for "kamal-proxy list": it is used as "kamal-proxy list [flags]"`,
		"list --output=xml":              `invalid argument "xml" for "-o, --output" flag: it is table, wide or json`,
		"run --http-port=65536":          `invalid argument "65536" for "--http-port" flag: a port is a number from 0 to 65535`,
		"run --metrics-port=-1":          `invalid argument "-1" for "--metrics-port" flag: a port is a number from 0 to 65535`,
		"run --https-port=80":            "--http-port and --https-port are both 80: give each a port of its own",
		"run --metrics-port=443":         "--https-port and --metrics-port are both 443: give each a port of its own",
		"run --max-held=-1":              `invalid argument "-1" for "--max-held" flag: it must be a whole number, 0 or more`,
	} {
		o := execute(t, d.env(), strings.Fields(line)...)
		if o.code != 1 || o.stdout != "" || o.stderr != "Error: "+want+"\n" {
			t.Errorf("%s\nexit %d, stdout %q\ngot  %swant Error: %s", line, o.code, o.stdout, o.stderr, want)
		}
		if sent := d.take(); len(sent) != 0 {
			t.Errorf("%s\nthe daemon got %v", line, sent)
		}
	}
}

func TestListThatIsGivenEmptyCounts(t *testing.T) {
	d := startDaemon(t, "")
	if o := execute(t, d.env(), "rollout", "set", "shop", "--list="); o.code != 0 {
		t.Errorf("exit %d, %s", o.code, o.stderr)
	}
}

func TestErrorOfTheDaemonIsPassedOn(t *testing.T) {
	d := startDaemon(t, `{"progress":{"stage":"checking","target":"web","elapsed":1}}`+"\n"+`{"error":"service not found"}`)
	for _, line := range []string{"remove shop", "rm shop", "stop shop", "resume shop", "pause shop", "rollout stop shop", "rollout set shop --percent=1", "rollout deploy shop --target=web", "deploy shop --target=web"} {
		o := execute(t, d.env(), strings.Fields(line)...)
		if o.code != 1 || o.stdout != "" || o.stderr != "Error: service not found\n" {
			t.Errorf("%s: exit %d, %q, %q", line, o.code, o.stdout, o.stderr)
		}
	}
}

func TestNoDaemon(t *testing.T) {
	path := filepath.Join(t.TempDir(), "none")
	for _, line := range []string{"list", "remove shop", "deploy shop --target=web"} {
		o := execute(t, map[string]string{"KAMAL_PROXY_SOCKET": path}, strings.Fields(line)...)
		want := "Error: kamal-proxy is not running (nothing answers at " + path + "): start it with `kamal-proxy run`\n"
		if o.code != 1 || o.stdout != "" || o.stderr != want {
			t.Errorf("%s: exit %d, %q", line, o.code, o.stderr)
		}
	}
}

func TestDetailsOfAnErrorFollowOnATerminalOnly(t *testing.T) {
	err := errors.New("target failed to become healthy within configured timeout (30s)\n  web:80 answered 500\n  \x1b[2Jlook\x07 at its log")
	for terminal, want := range map[bool]string{
		false: "Error: target failed to become healthy within configured timeout (30s); web:80 answered 500; ·[2Jlook· at its log\n",
		true:  "Error: target failed to become healthy within configured timeout (30s)\n  web:80 answered 500\n  ·[2Jlook· at its log\n",
	} {
		var stderr bytes.Buffer
		(&console{err: &stderr, errTTY: terminal}).fail(err)
		if got := stderr.String(); got != want {
			t.Errorf("terminal %v:\ngot  %q\nwant %q", terminal, got, want)
		}
	}
}

func TestServiceThatUpstreamWouldNotKnowIsTold(t *testing.T) {
	d := startDaemon(t, "")
	for line, foreign := range map[string]bool{
		"deploy shop --target=[::1]:3000":                    true,
		"deploy shop --target=w":                             true,
		"deploy shop --target=web --read-target=r":           true,
		"deploy shop --target=web:3000":                      false,
		"rollout deploy shop --target=[::1]:3000":            true,
		"rollout deploy shop --target=web --read-target=w:1": true,
		"rollout deploy shop --target=web":                   false,
	} {
		o := execute(t, d.env(), strings.Fields(line)...)
		told := strings.HasPrefix(o.stderr, "Warning: upstream's kamal-proxy would not know shop") && strings.Count(o.stderr, "\n") == 1
		if o.code != 0 || o.stdout != "" || told != foreign || !foreign && o.stderr != "" {
			t.Errorf("%s: exit %d, %q, %q", line, o.code, o.stdout, o.stderr)
		}
	}
}
