package cli

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"

	"kamal-proxy/transport/control"
)

// commands are texts with what a terminal obeys: in ASCII, in C1, as an end of
// line, and as a change of direction.
var commands = []string{"\x1b[2Jx", "\u009b2Jx", "a\rb", "\x07", "\x7f", "\u0085", "\u2028", "\u202egnp.exe", "\u2066x", "\xff"}

func TestNothingCommandsTheTerminal(t *testing.T) {
	for _, s := range commands {
		got := printable(s)
		if strings.ContainsFunc(got, commanding) || !strings.Contains(got, "·") {
			t.Errorf("%q is printed as %q", s, got)
		}
	}
	for _, s := range []string{"plain", "é漢字🎉", "“quoted” — dash"} {
		if got := printable(s); got != s {
			t.Errorf("%q is printed as %q", s, got)
		}
	}
}

func TestListAsJSONCommandsNothing(t *testing.T) {
	for _, s := range commands[:len(commands)-1] {
		rows := someRows(t)
		rows[1].Record.PauseController.StopMessage = s
		var out bytes.Buffer
		if err := writeJSON(&out, rows); err != nil {
			t.Fatal(err)
		}
		if strings.ContainsFunc(strings.ReplaceAll(out.String(), "\n", ""), commanding) {
			t.Errorf("%q is in the list as it is", s)
		}
		var back []control.Row
		if err := json.Unmarshal(out.Bytes(), &back); err != nil || back[1].Record.PauseController.StopMessage != s {
			t.Errorf("%q came back as %q, %v", s, back[1].Record.PauseController.StopMessage, err)
		}
	}
}

func TestSecretsInTheLogAreWarnedOf(t *testing.T) {
	d := startDaemon(t, "")
	for header, warned := range map[string]bool{"Authorization": true, "cookie": true, "User-Agent": false} {
		o := execute(t, d.env(), "deploy", "shop", "--target", "web", "--log-request-header", header)
		if o.code != 0 || strings.Contains(o.stderr, "secrets of clients") != warned {
			t.Errorf("%s: exit %d, %s", header, o.code, o.stderr)
		}
	}
}
