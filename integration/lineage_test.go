package integration

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// startLineage runs a daemon that may have successors, which end with the test.
func startLineage(t *testing.T, args ...string) *daemon {
	t.Helper()
	d := startDaemon(t, args...)
	t.Cleanup(d.endLineage)
	return d
}

// lineage is the processes that have served, in their order.
func (d *daemon) lineage() (pids []int) {
	for _, line := range d.log.lines() {
		var started struct {
			Msg string
			PID int
		}
		if json.Unmarshal([]byte(line), &started) == nil && started.Msg == "Server started" {
			pids = append(pids, started.PID)
		}
	}
	return pids
}

// newest is the process that serves.
func (d *daemon) newest() int {
	pids := d.lineage()
	return pids[len(pids)-1]
}

// alive reports whether a process is there and has not ended.
func alive(pid int) bool {
	stat, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
	if err != nil {
		return false
	}
	_, after, _ := bytes.Cut(stat, []byte(") "))
	return len(after) > 0 && after[0] != 'Z' && after[0] != 'X'
}

func awaitEnd(t *testing.T, pid int) {
	t.Helper()
	eventually(t, fmt.Sprintf("process %d ends", pid), func() error {
		if alive(pid) {
			return fmt.Errorf("it is there")
		}
		return nil
	})
}

// endLineage ends what is left of the processes, the newest first, which tells
// the others.
func (d *daemon) endLineage() {
	pids := d.lineage()
	slices.Reverse(pids)
	for _, pid := range pids {
		if alive(pid) {
			syscall.Kill(pid, syscall.SIGTERM)
		}
	}
	for _, pid := range pids {
		for deadline := time.Now().Add(patience); alive(pid) && time.Now().Before(deadline); {
			<-time.After(5 * time.Millisecond)
		}
		if alive(pid) {
			syscall.Kill(pid, syscall.SIGKILL)
			d.t.Errorf("process %d did not end after SIGTERM", pid)
		}
	}
}

// upgrade puts a successor in the daemon's place, and returns what the command
// said.
func (d *daemon) upgrade(args ...string) string {
	d.t.Helper()
	before := len(d.lineage())
	stdout, stderr, code := d.run(append([]string{"upgrade"}, args...)...)
	if code != 0 || stderr != "" || strings.Count(stdout, "\n") != 1 {
		d.t.Fatalf("kamal-proxy upgrade: exit %d, stdout %q, stderr %q, want success and one line", code, stdout, stderr)
	}
	d.awaitSuccessor(before)
	return stdout
}

// awaitSuccessor waits until more processes have served than before.
func (d *daemon) awaitSuccessor(before int) {
	d.t.Helper()
	eventually(d.t, "a successor serves", func() error {
		if n := len(d.lineage()); n != before+1 {
			return fmt.Errorf("%d processes have served, want %d:\n%s", n, before+1, tail(d.log.String(), 2000))
		}
		return nil
	})
}
