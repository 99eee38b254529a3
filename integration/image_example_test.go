package integration

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"
)

// The walk-through in example/README.md is played, with this machine's ports
// in place of the compose file's names.
func TestExampleDoesWhatItsReadmeSays(t *testing.T) {
	peer(t, "curl")
	walk := startWalk(t)
	for _, step := range readWalk(t) {
		if got := walk.play(step.command); !step.matches(got) {
			t.Errorf("README.md, line %d: %s says\n%s\nand not\n%s", step.line, step.command, got, step.output)
		}
	}
}

// A metric's name in the walk-through or in Prometheus' files is one that the
// proxy has.
func TestExampleAsksForMetricsThatAreThere(t *testing.T) {
	port := freePort(t)
	d := startDaemon(t, "--metrics-port", port)
	d.must("deploy", "web", "--target", startApp(t, "a").target())
	d.get("any.example", "/")
	response, err := http.Get("http://127.0.0.1:" + port + "/metrics")
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	page, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile("../example/README.md")
	if err != nil {
		t.Fatal(err)
	}
	names := regexp.MustCompile(`kamal_proxy_\w+`).FindAllString(string(text), -1)
	if len(names) == 0 {
		t.Error("README.md asks for no metric")
	}
	for _, name := range names {
		if !bytes.Contains(page, []byte("\n"+name)) {
			t.Errorf("README.md asks for %s, which the proxy does not have", name)
		}
	}
}

func freePort(t *testing.T) string {
	t.Helper()
	_, port, err := net.SplitHostPort(closedPort(t))
	if err != nil {
		t.Fatal(err)
	}
	return port
}

// Each file that the compose file names is there.
func TestExampleNamesFilesThatExist(t *testing.T) {
	text, err := os.ReadFile("../example/compose.yml")
	if err != nil {
		t.Fatal(err)
	}
	paths := regexp.MustCompile(`(?m)(?:build: |- )(\.[\w./-]*)`).FindAllStringSubmatch(string(text), -1)
	if len(paths) < 4 {
		t.Errorf("compose.yml names %d files, and the test expects more", len(paths))
	}
	for _, path := range paths {
		file := filepath.Join("../example", path[1])
		if info, err := os.Stat(file); err != nil {
			t.Error(err)
		} else if _, err := os.Stat(filepath.Join(file, "Dockerfile")); info.IsDir() && err != nil {
			t.Error(err)
		}
	}
}

// walkStep is a command of the walk-through and what it says. A line with …
// stands for any text from there on.
type walkStep struct {
	line    int
	command string
	output  string
}

func readWalk(t *testing.T) (steps []walkStep) {
	t.Helper()
	text, err := os.ReadFile("../example/README.md")
	if err != nil {
		t.Fatal(err)
	}
	var step *walkStep
	for n, line := range strings.Split(string(text), "\n") {
		code, isCode := strings.CutPrefix(line, "    ")
		command, isCommand := strings.CutPrefix(code, "$ ")
		elsewhere := strings.Contains(command, "docker") || strings.Contains(command, ":9090")
		switch {
		case isCommand && !elsewhere:
			steps = append(steps, walkStep{line: n + 1, command: command})
			step = &steps[len(steps)-1]
		case isCode && !isCommand && step != nil:
			step.output += code + "\n"
		default:
			step = nil
		}
	}
	if len(steps) < 20 {
		t.Errorf("README.md has %d commands, and the test expects more", len(steps))
	}
	return steps
}

func (s walkStep) matches(got string) bool {
	if begin, _, open := strings.Cut(s.output, "…"); open {
		return strings.HasPrefix(plain(got), strings.TrimSpace(plain(begin)))
	}
	return plain(got) == plain(s.output)
}

var container12 = regexp.MustCompile(`(v\d) in [\w.-]+`)

// plain leaves out what differs by machine: containers' names and the widths
// of columns.
func plain(text string) string {
	var lines []string
	for line := range strings.Lines(container12.ReplaceAllString(text, "$1 in X")) {
		lines = append(lines, strings.Join(strings.Fields(line), " "))
	}
	return strings.Join(lines, "\n")
}

// walk is the example without containers.
type walk struct {
	d     *daemon
	names [][2]string // in README.md, here
}

func startWalk(t *testing.T) *walk {
	t.Helper()
	binary := filepath.Join(shortTempDir(t), "app")
	if out, err := exec.Command("go", "build", "-o", binary, "kamal-proxy/example/app").CombinedOutput(); err != nil {
		t.Fatalf("the app does not build: %v\n%s", err, out)
	}
	w := &walk{d: startDaemon(t)}
	w.names = append(w.names, [2]string{"localhost:8080", w.d.address()}, [2]string{"web-v1:4000", closedPort(t)})
	for _, version := range []string{"v1", "v2"} {
		port := freePort(t)
		t.Setenv("PORT", port)
		t.Setenv("VERSION", version)
		startPeer(t, "127.0.0.1:"+port, binary)
		w.names = append(w.names, [2]string{"web-" + version + ":3000", "127.0.0.1:" + port})
	}
	return w
}

// play runs a line of the walk-through and returns all that it says.
func (w *walk) play(line string) string {
	w.d.t.Helper()
	for _, name := range w.names {
		line = strings.ReplaceAll(line, name[0], name[1])
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, "sh", "-c", line+"\nwait")
	cmd.WaitDelay = time.Second
	cmd.Env = append(w.d.environment(),
		fmt.Sprintf("PATH=%s:%s", filepath.Dir(program), os.Getenv("PATH")),
		"GORACE=atexit_sleep_ms=0") // each command would end a second later
	out, err := cmd.CombinedOutput()
	if _, exited := err.(*exec.ExitError); err != nil && !exited {
		w.d.t.Errorf("%s: %v", line, err)
	}
	said := string(out)
	for _, name := range w.names {
		said = strings.ReplaceAll(said, name[1], name[0])
	}
	return said
}
