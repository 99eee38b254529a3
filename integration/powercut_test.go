package integration

import (
	"fmt"
	"maps"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// cut is a system call of a save, and which of its thread's it is. A save has
// them in this order: openat, write, fsync, unlinkat, linkat, renameat twice,
// openat and fsync of the folder; a save of both files has them twice.
type cut struct {
	call string
	nth  int
}

// cuts and the four kinds of round have no common divisor: 68 rounds are all
// of both.
var cuts = []cut{
	{"openat", 1}, {"write", 3}, {"fsync", 1}, {"renameat", 1}, {"linkat", 1}, {"renameat", 2}, {"fsync", 2}, {"write", 2}, {"unlinkat", 1},
	{"openat", 2}, {"write", 4}, {"write", 1}, {"openat", 3}, {"fsync", 3}, {"renameat", 3}, {"renameat", 4}, {"fsync", 4},
}

// The daemon is killed at each step of a deploy, by strace, as it enters the
// system call. After each start the service has its old target or the new one,
// and serves; an acknowledged deploy is there.
func TestPowerCutAtEachStepOfADeploy(t *testing.T) {
	t.Parallel()
	p := &powerCut{t: t, strace: peer(t, "strace"), hit: map[string]int{}}
	p.mustTrace()
	p.d = startDaemon(t)
	p.apps = []*app{startApp(t, "blue"), startApp(t, "green")}
	p.kept = startAppOn(t, "[::1]:0", "kept")
	p.now = p.apps[0]
	begun, rounds := time.Now(), either(100, len(cuts))
	for round := 0; round < rounds || long() && p.hit["writing"] == 0 && round < 2*rounds; round++ { // writes are those of the log, too
		p.round(round)
		if t.Failed() {
			t.Fatalf("in round %d, killed at %s", round, p.last)
		}
	}
	for _, step := range slices.Sorted(maps.Keys(p.hit)) {
		t.Logf("%4d × killed at %s", p.hit[step], step)
	}
	t.Logf("%d rounds in %s: %d had the old state, %d the new one", p.old+p.new, time.Since(begun).Round(100*time.Millisecond), p.old, p.new)
	if long() {
		p.wantHits("creating", "writing", "fsync of the draft", "removing", "linking", "rename to .bak", "rename to the state", "opening", "fsync of the folder")
	}
}

type powerCut struct {
	t        *testing.T
	strace   string
	d        *daemon
	apps     []*app
	kept     *app // whose address upstream would not load, so that its service is in the other file
	now      *app // the one that serves
	hit      map[string]int
	last     string
	old, new int
}

// mustTrace skips the test where no process may trace another.
func (p *powerCut) mustTrace() {
	other := exec.Command("sleep", "0.2")
	if err := other.Start(); err != nil {
		p.t.Fatal(err)
	}
	defer other.Wait()
	if out, err := exec.Command(p.strace, "-o", "/dev/null", "-p", strconv.Itoa(other.Process.Pid)).CombinedOutput(); err != nil {
		p.t.Skipf("strace may not trace here: %s", out)
	}
}

// round cuts one deploy. Some begin without any state; some move the service
// from the file that upstream reads to the one beside it.
func (p *powerCut) round(n int) {
	p.t.Helper()
	before := p.prepare(n%4 == 3)
	next := p.other()
	if n%4 >= 2 {
		next = p.kept
	}
	trace := p.attach(cuts[n%len(cuts)])
	_, _, code := p.d.run("deploy", "web", "--target", next.target())
	p.last = trace.end(p.d)
	p.hit[p.last]++

	p.d.start()
	listed, _, _ := p.d.run("list")
	isOld := before == "" && !strings.Contains(listed, "web") || before != "" && strings.Contains(listed, before)
	switch isNew := strings.Contains(listed, next.target()); {
	case isOld == isNew:
		p.t.Errorf("list has neither the old state nor the new one, or both:\n%s", listed)
	case isNew:
		p.now = next
		p.new++
	case code == 0:
		p.t.Errorf("the deploy was acknowledged and is lost:\n%s", listed)
	default:
		p.old++
	}
	p.serves(before == "" && isOld)
	p.redeploy()
	p.serves(false)
	p.tidy()
}

// other is the instance to deploy next.
func (p *powerCut) other() *app {
	if p.now == p.apps[0] {
		return p.apps[1]
	}
	return p.apps[0]
}

func (p *powerCut) redeploy() {
	p.t.Helper()
	p.now = p.other()
	p.d.must("deploy", "web", "--target", p.now.target())
}

// prepare returns the target that list has to have if the deploy is lost; none
// is a daemon that has never had a state.
func (p *powerCut) prepare(fresh bool) (target string) {
	p.t.Helper()
	if fresh {
		p.d.kill()
		p.d.home = shortTempDir(p.t)
		p.d.start()
		return ""
	}
	p.redeploy()
	return p.now.target()
}

func (p *powerCut) serves(nothing bool) {
	p.t.Helper()
	status, body := p.d.get("any.host", "/")
	if nothing {
		if status != http.StatusNotFound {
			p.t.Errorf("without a service the daemon answers %d", status)
		}
		return
	}
	if status != http.StatusOK || body != p.now.name {
		p.t.Errorf("the daemon answers %d %q, want %s", status, body, p.now.name)
	}
}

var stateNames = []string{"kamal-proxy.state", "kamal-proxy.state.bak", "kamal-proxy.state.bak.tmp",
	"kamal-proxy.state.more", "kamal-proxy.state.more.bak", "kamal-proxy.state.more.bak.tmp"}

// tidy wants no draft that the dead process has left, but for a second name of
// the backup, which the next save takes away.
func (p *powerCut) tidy() {
	p.t.Helper()
	left, _ := filepath.Glob(filepath.Join(p.d.home, ".config", "kamal-proxy", "*"))
	for _, path := range left {
		if name := filepath.Base(path); !slices.Contains(stateNames, name) {
			p.t.Errorf("%s is left", name)
		}
	}
}

func (p *powerCut) wantHits(steps ...string) {
	p.t.Helper()
	for _, step := range steps {
		if p.hit[step] == 0 {
			p.t.Errorf("no round was cut at %s", step)
		}
	}
}

// trace is a strace that waits to kill.
type trace struct {
	cmd *exec.Cmd
	log string
}

// attach makes one call of the daemon's its last.
func (p *powerCut) attach(at cut) trace {
	p.t.Helper()
	tr := trace{log: filepath.Join(p.t.TempDir(), "trace")}
	tr.cmd = exec.Command(p.strace, "-f", "-y", "-o", tr.log, "-p", strconv.Itoa(p.d.cmd.Process.Pid),
		"-e", "trace=openat,write,fsync,unlinkat,linkat,renameat", "-e", fmt.Sprintf("inject=%s:signal=KILL:when=%d", at.call, at.nth))
	said := &logBuffer{}
	tr.cmd.Stderr = said
	tr.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := tr.cmd.Start(); err != nil {
		p.t.Fatal(err)
	}
	eventually(p.t, "strace attaches", func() error {
		if !strings.Contains(said.String(), "attached") {
			return fmt.Errorf("it says %q", said)
		}
		return nil
	})
	return tr
}

// end waits until the daemon is dead, and returns the step at which it died. A
// deploy that never came to the call is followed by a kill.
func (tr trace) end(d *daemon) (step string) {
	select {
	case <-d.exited:
	case <-time.After(200 * time.Millisecond):
		d.kill()
	}
	tr.cmd.Wait()
	calls, _ := os.ReadFile(tr.log)
	return lastStep(string(calls))
}

var unfinished = regexp.MustCompile(`(?m)^\d+ +(\w+)\((.*?)(?: <unfinished \.\.\.>| *\) += \?)$`)

// lastStep names the call that never returned.
func lastStep(calls string) string {
	open := unfinished.FindAllStringSubmatch(calls, -1)
	if len(open) == 0 || !strings.Contains(calls, "killed by SIGKILL") {
		return "(after the deploy)"
	}
	call, args := open[len(open)-1][1], open[len(open)-1][2]
	state := strings.Contains(args, "kamal-proxy.state")
	switch {
	case call == "openat" && strings.Contains(args, "O_CREAT"):
		return "creating"
	case call == "openat":
		return "opening"
	case call == "write" && state:
		return "writing"
	case call == "write":
		return "a write elsewhere"
	case call == "fsync" && state:
		return "fsync of the draft"
	case call == "fsync":
		return "fsync of the folder"
	case call == "linkat":
		return "linking"
	case call == "renameat" && strings.Contains(args, ".bak\""):
		return "rename to .bak"
	case call == "renameat":
		return "rename to the state"
	}
	return "removing"
}
