package cli

import (
	"os"
	"reflect"
	"strings"
	"testing"
	"time"
)

// TestKamalInvocations gives the command what Kamal gives it.
func TestKamalInvocations(t *testing.T) {
	file, err := os.ReadFile("testdata/kamal-invocations.txt")
	if err != nil {
		t.Fatal(err)
	}
	d := startDaemon(t, "")
	for _, line := range strings.Split(strings.TrimSpace(string(file)), "\n") {
		words := unquote(t, strings.ReplaceAll(line, "{target}", "127.0.0.1:3000"))
		if words[0] != "kamal-proxy" {
			t.Fatalf("strange line %s", line)
		}
		words = words[1:]
		o := execute(t, d.env(), words...)
		got := d.take()
		switch {
		case words[0] == "run":
			checkRun(t, line, words, o)
		case strings.Contains(line, `X\"q`): // no CSV, upstream refuses it too
			if o.code != 1 || len(got) != 0 || !strings.Contains(o.stderr, `bare " in non-quoted-field`) {
				t.Errorf("%s\nexit %d, %s", line, o.code, o.stderr)
			}
		case o.code != 0 || o.stdout != "" || o.stderr != "" || len(got) != 1:
			t.Errorf("%s\nexit %d, %q, %q", line, o.code, o.stdout, o.stderr)
		default:
			fact := orderFacts[words[0]]
			if got[0].line != fact.request {
				t.Errorf("%s\nmade %s", line, got[0].line)
			}
			sameWire(t, line, got[0].body, wireOf(t, fact.flags, words[1:]))
		}
	}
}

func checkRun(t *testing.T, line string, words []string, o outcome) {
	t.Helper()
	want := RunOptions{HTTPPort: 80, HTTPSPort: 443, MaxHeld: 1000, Limits: defaultLimits(), UpgradeTimeout: 10 * time.Minute, ShutdownTimeout: 9 * time.Second, Data: "/home/kamal-proxy/.config/kamal-proxy"}
	for i, w := range words {
		switch w {
		case "--debug":
			want.Debug = true
		case "--metrics-port":
			want.MetricsPort = map[string]int{"9090": 9090, "9000": 9000}[words[i+1]]
		}
	}
	if o.code != 0 || len(o.ran) != 1 {
		t.Errorf("%s\nexit %d, %s", line, o.code, o.stderr)
		return
	}
	o.ran[0].Socket = ""
	if !reflect.DeepEqual(o.ran[0], want) {
		t.Errorf("%s\nran %+v", line, o.ran[0])
	}
}

// unquote splits a line as a shell does that knows blanks, double quotes and
// the backslash within them.
func unquote(t *testing.T, line string) []string {
	t.Helper()
	var (
		words  []string
		word   strings.Builder
		quoted bool
	)
	for i := 0; i < len(line); i++ {
		switch c := line[i]; {
		case c == '"':
			quoted = !quoted
		case c == '\\' && quoted && i+1 < len(line) && strings.IndexByte("$`\"\\", line[i+1]) >= 0:
			i++
			word.WriteByte(line[i])
		case c == ' ' && !quoted:
			words = append(words, word.String())
			word.Reset()
		default:
			word.WriteByte(c)
		}
	}
	if quoted {
		t.Fatalf("a quote is left open in %s", line)
	}
	return append(words, word.String())
}

func TestUnquote(t *testing.T) {
	got := unquote(t, `stop a --message="costs \$5, \"x\" \\ \n" --host="m"ü"nchen" --message=`)
	want := []string{"stop", "a", `--message=costs $5, "x" \ \n`, "--host=münchen", "--message="}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got %q", got)
	}
}
