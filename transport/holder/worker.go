//go:build linux

package holder

import (
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"syscall"

	"kamal-proxy/transport/sockets"
)

// Sockets is what a holder holds.
type Sockets struct {
	Open sockets.Open
	// ClosePorts closes all but the control socket; called at most once.
	ClosePorts func()
}

// start starts a worker. It is not waited for in the usual way: reap does that.
func (h *holder) start() error {
	cmd := exec.Command(h.program())
	cmd.Args = h.Args
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	// A terminal's ^C reaches the holder alone, which passes it on.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	release, err := sockets.Pass(cmd, h.Sockets.Open)
	if err != nil {
		return err
	}
	defer release()
	cmd.Env = h.notices.announce(cmd.Env)
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("unable to start the worker: %w", err)
	}
	h.worker = cmd.Process.Pid
	cmd.Process.Release()
	h.Log.Debug().Int("worker", h.worker).Msg("Worker started")
	return nil
}

const (
	own       = "/proc/self/exe" // what this process runs, wherever its file is by now
	vainTries = 3
)

// program is the worker's, or what this process runs if that is gone.
func (h *holder) program() string {
	if _, err := exec.LookPath(h.Program); err != nil {
		return own
	}
	return h.Program
}

// inVain counts a start of which no worker came. A program that an upgrade has
// brought, or that was put in the old one's place since, may be unable to start
// from nothing; what this process runs was.
func (h *holder) inVain() {
	if h.vain++; h.vain >= vainTries && h.Program != own {
		h.Log.Error().Str("program", h.Program).Msg("The worker's program does not get ready, so it is started from that of process number 1")
		h.Program = own
	}
}

// programOf is the path of what a process runs, so of an upgrade's successor
// the new program; "": not known, such as where /proc is of another namespace.
func programOf(pid int) string {
	if self, err := os.Readlink("/proc/self"); err != nil || self != strconv.Itoa(os.Getpid()) {
		return ""
	}
	path, err := os.Readlink(fmt.Sprintf("/proc/%d/exe", pid))
	if err != nil {
		return ""
	}
	return strings.TrimSuffix(path, " (deleted)")
}

func without(env []string, names ...string) []string {
	return slices.DeleteFunc(env, func(entry string) bool {
		name, _, _ := strings.Cut(entry, "=")
		return slices.Contains(names, name)
	})
}
