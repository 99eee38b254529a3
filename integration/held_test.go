//go:build linux

package integration

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"syscall"
	"testing"
	"time"
)

// held makes a daemon's command process number 1 of a namespace, as in a
// container, with a /proc of its own.
func held(cmd *exec.Cmd) {
	cmd.Args = append([]string{"sh", "-c", `mount -t proc proc /proc && exec "$0" "$@"`, cmd.Path}, cmd.Args[1:]...)
	cmd.Path = "/bin/sh"
	cmd.SysProcAttr.Cloneflags = syscall.CLONE_NEWPID
	cmd.SysProcAttr.Unshareflags = syscall.CLONE_NEWNS
	if os.Geteuid() != 0 {
		cmd.SysProcAttr.Cloneflags |= syscall.CLONE_NEWUSER
		cmd.SysProcAttr.UidMappings = []syscall.SysProcIDMap{{HostID: os.Getuid(), Size: 1}}
		cmd.SysProcAttr.GidMappings = []syscall.SysProcIDMap{{HostID: os.Getgid(), Size: 1}}
	}
}

// heldBy is held with another program as process number 1, which ends with the
// daemon.
func heldBy(name string) func(*exec.Cmd) {
	return func(cmd *exec.Cmd) {
		held(cmd)
		cmd.Args = append([]string{"sh", "-c", `mount -t proc proc /proc && exec "$0" "$@"`, name}, cmd.Args[3:]...)
	}
}

// needNamespaces skips where a process may not have a namespace of its own.
func needNamespaces(t *testing.T) {
	t.Helper()
	probe := exec.Command("true")
	probe.SysProcAttr = &syscall.SysProcAttr{}
	held(probe)
	if out, err := probe.CombinedOutput(); err != nil {
		t.Skipf("NOT CHECKED: process number 1, for want of a namespace of its own: %v %s", err, out)
	}
}

func startHeld(t *testing.T, args ...string) *daemon {
	t.Helper()
	needNamespaces(t)
	d := newDaemon(t, args...)
	d.activate = held
	d.start()
	return d
}

// children returns a process's, as numbers out here, those that have ended and
// were not waited for among them.
func children(t *testing.T, parent int) (pids []int) {
	t.Helper()
	stats, err := filepath.Glob("/proc/[0-9]*/stat")
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range stats {
		stat, err := os.ReadFile(path)
		if err != nil {
			continue
		}
		_, after, _ := bytes.Cut(stat, []byte(") "))
		if fields := bytes.Fields(after); len(fields) > 1 && string(fields[1]) == strconv.Itoa(parent) {
			pid, _ := strconv.Atoi(filepath.Base(filepath.Dir(path)))
			pids = append(pids, pid)
		}
	}
	return pids
}

// worker waits for the one process that the holder has.
func (d *daemon) worker() (pid int) {
	d.t.Helper()
	eventually(d.t, "the holder has one worker", func() error {
		pids := children(d.t, d.cmd.Process.Pid)
		if len(pids) != 1 || !alive(pids[0]) {
			return fmt.Errorf("it has %v", pids)
		}
		pid = pids[0]
		return nil
	})
	return pid
}

// kill is the time from a kill until clients know of it.
type kill struct{ from, to time.Time }

// crash kills the worker, and returns when it is gone; the daemon may not be
// back yet.
func (d *daemon) crash() (k kill) {
	d.t.Helper()
	pid := d.worker()
	k.from = time.Now()
	syscall.Kill(pid, syscall.SIGKILL)
	awaitEnd(d.t, pid)
	k.to = time.Now()
	return k
}
