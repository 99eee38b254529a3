package integration

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// attack is a vegeta that sends requests at a constant rate, however long the
// answers take.
type attack struct {
	t       testing.TB
	lane    string
	cmd     *exec.Cmd
	said    *logBuffer
	results string
	want    map[string]expectation // by URL
}

// wish is a request of an attack.
type wish struct {
	method, url, body string
	share             int // how many there are of it in a round
	expectation
}

// expectation names a request, and is how the right answer ends.
type expectation struct{ kind, ending string }

// startAttack begins to make wishes in turn, all of them over one protocol. It
// keeps few connections open that it has no use for: else those of the moment
// when the machine was slowest would stay for good.
func startAttack(t *testing.T, lane string, rate int, wishes []wish, flags ...string) *attack {
	t.Helper()
	vegeta, dir := peer(t, "vegeta"), t.TempDir()
	a := &attack{t: t, lane: lane, said: &logBuffer{}, results: filepath.Join(dir, "results"), want: map[string]expectation{}}
	for _, w := range wishes {
		a.want[w.method+" "+w.url] = w.expectation
	}
	list := filepath.Join(dir, "targets")
	if err := os.WriteFile(list, targetList(wishes), 0o600); err != nil {
		t.Fatal(err)
	}
	a.cmd = exec.Command(vegeta, append([]string{"attack", "-format", "json", "-targets", list, "-output", a.results,
		"-rate", fmt.Sprint(rate), "-timeout", patience.String(), "-connections", "16"}, flags...)...)
	a.cmd.Stdout, a.cmd.Stderr = a.said, a.said
	a.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := a.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { a.cmd.Process.Kill() })
	return a
}

// targetList has each wish as often as its share, the kinds mixed.
func targetList(wishes []wish) (list []byte) {
	for n, some := 0, true; some; n++ {
		some = false
		for _, w := range wishes {
			if n >= w.share {
				continue
			}
			line, _ := json.Marshal(map[string]any{"method": w.method, "url": w.url, "body": []byte(w.body)})
			list, some = append(append(list, line...), '\n'), true
		}
	}
	return list
}

// stop ends the attack; requests under way go on.
func (a *attack) stop() { a.cmd.Process.Signal(syscall.SIGINT) }

// count waits, after stop, for the answers that are due, and adds what became
// of each request.
func (a *attack) count(to *tally) {
	a.t.Helper()
	late := time.AfterFunc(2*patience, func() { a.cmd.Process.Kill() })
	defer late.Stop()
	if err := a.cmd.Wait(); err != nil {
		a.t.Errorf("vegeta attack: %v\n%s", err, a.said)
		return
	}
	encode := exec.Command(a.cmd.Path, "encode", "-to", "json", a.results)
	said, err := encode.StdoutPipe()
	if err == nil {
		err = encode.Start()
	}
	if err != nil {
		a.t.Errorf("vegeta encode: %v", err)
		return
	}
	defer encode.Wait()
	for results := json.NewDecoder(said); ; {
		var r result
		if err := results.Decode(&r); err == io.EOF {
			return
		} else if err != nil {
			a.t.Errorf("vegeta's results: %v", err)
			return
		}
		want := a.want[r.Method+" "+r.URL]
		to.add(outcome{kind: a.lane + " " + want.kind, begun: r.Timestamp, took: r.Latency, err: r.judge(want.ending)})
	}
}

// result is what vegeta tells of one request.
type result struct {
	Code      int
	Timestamp time.Time
	Latency   time.Duration
	Error     string
	Body      []byte
	Method    string
	URL       string
}

func (r result) judge(ending string) error {
	switch {
	case r.Code != 200:
		return fmt.Errorf("%d %s", r.Code, r.Error)
	case r.Error != "":
		return errors.New(r.Error)
	case !strings.HasSuffix(string(r.Body), ending):
		return fmt.Errorf("an answer of %d bytes that ends with %q", len(r.Body), tail(string(r.Body), 20))
	}
	return nil
}
