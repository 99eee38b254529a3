//go:build linux

package integration

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"syscall"
	"testing"
	"time"
)

// crashSlack is how long after its death a client may still take a process's
// connections for alive.
const crashSlack = 50 * time.Millisecond

// killWorker returns when the holder has taken note: as long as a thread of the
// worker is left, its connections are open.
func killWorker(d *daemon) (k kill) {
	d.t.Helper()
	pid := d.worker()
	k.from = time.Now()
	syscall.Kill(pid, syscall.SIGKILL)
	eventually(d.t, "the worker is gone", func() error {
		_, err := os.Stat(fmt.Sprintf("/proc/%d", pid))
		if err == nil {
			return errors.New("it is there")
		}
		return nil
	})
	k.to = time.Now().Add(crashSlack)
	return k
}

// Workers are killed under load at a constant rate, with a deploy in all
// services after each. Only what was under way at a kill may fail, and nobody
// is refused, though a new worker has to start.
func TestCrashStorm(t *testing.T) {
	t.Parallel()
	d := startHeld(t, unhurried)
	s := &storm{t: t, d: d, crashes: true}
	s.start(60)
	var kills []kill
	n := either(20, 2)
	for i := range n {
		s.awaitBusy(s.services[0])
		kills = append(kills, killWorker(d))
		d.awaitSuccessor(i + 1)
		s.deploys(1)
	}
	s.tally.note("%d kills, %d deploys", n, s.made())
	s.end("crash storm; what is lost was under way at a kill")
	for i := range kills {
		kills[i].to = afterStall(kills[i].to, crashSlack)
	}
	for _, o := range s.tally.losses() {
		if refusal(o.err) {
			t.Errorf("%s at %s was refused: %v", o.kind, o.begun.Format("15:04:05.000"), o.err)
		}
		if !slices.ContainsFunc(kills, func(k kill) bool { return o.during(k.from, k.to) }) {
			t.Errorf("%s at %s after %s was under way at no kill, and is lost: %v", o.kind, o.begun.Format("15:04:05.000"), o.took, o.err)
		}
	}
}
