package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"kamal-proxy/actors/registry"
	"kamal-proxy/actors/store"
	"kamal-proxy/actors/system"
	"kamal-proxy/cli"
	"kamal-proxy/transport/control"
	"kamal-proxy/transport/handover"
	"kamal-proxy/transport/quicport"
	"kamal-proxy/transport/sockets"
)

var (
	errUpgrading = errors.New("an upgrade is under way already: wait until it has ended")
	errEnding    = errors.New("the proxy was not upgraded: it is ending")
)

// succession is whether this process is to be replaced.
type succession struct {
	program string        // what is started when nothing else is named
	trying  atomic.Bool   // an upgrade is under way, or was successful
	fate    atomic.Int32  // one of those below
	done    chan struct{} // closed when a successor serves
	hurried chan struct{} // closed when the successor is told to end
	hurry   sync.Once
	lost    <-chan struct{} // closed when the successor is no more; set before done is closed
	limit   time.Duration   // for what this process has begun; set before done is closed
}

const (
	undecided = iota
	ends      // without a successor
	replaced
)

// end decides that the process ends without a successor, unless it has one.
func (s *succession) end() bool {
	return s.fate.CompareAndSwap(undecided, ends) || s.fate.Load() == ends
}

// upgrade is control.Upgrader.
func (d *daemon) upgrade(order control.Upgrade, told control.Progress) error {
	s, binary := d.succession, order.Binary
	if !s.trying.CompareAndSwap(false, true) {
		return errUpgrading
	}
	if binary == "" {
		binary = s.program
	}
	d.log.Info().Str("binary", binary).Msg("Upgrading")
	d.tell(d.manager.Reloading("Upgrading to " + binary))
	successor, err := d.replace(binary, told)
	if err != nil {
		s.trying.Store(false)
		if s.fate.Load() == ends || d.signals.end.Err() != nil {
			return errEnding
		}
		d.sayReady()
		err = fmt.Errorf("the proxy was not upgraded, and serves on as before: %w", err)
		d.log.Error().Err(err).Msg("Upgrade failed")
		return err
	}
	s.lost, s.limit = successor.Gone(), d.options.UpgradeTimeout
	if order.Timeout != nil {
		s.limit = *order.Timeout
	}
	close(s.done)
	d.log.Info().Int("pid", successor.PID()).Str("version", successor.Version).Msg("Upgraded")
	told(control.Step{Stage: control.Serving, Detail: fmt.Sprintf(
		"kamal-proxy %s serves as process %d; process %d (%s) finishes what it has begun, for %v at most",
		successor.Version, successor.PID(), os.Getpid(), cli.Version, s.limit)})
	return nil
}

func (d *daemon) upgradeBySignal() {
	if err := d.upgrade(control.Upgrade{}, func(control.Step) {}); errors.Is(err, errUpgrading) { // it has logged all others
		d.log.Warn().Err(err).Msg("SIGUSR2 changes nothing")
	}
}

// replace returns the process that serves in this one's place. With an error,
// nothing has changed.
func (d *daemon) replace(binary string, told control.Progress) (*handover.Successor, error) {
	if err := cmp.Or(outlived(), executable(binary)); err != nil {
		return nil, err
	}
	told(control.Step{Stage: control.Concluding})
	give := registry.HandOver{Reply: system.NewReply[store.Snapshot]()}
	d.registry.Tell(give)
	snapshot, err := give.Wait(context.Background(), d.registry.Stopped())
	if err != nil {
		return nil, err
	}
	told(control.Step{Stage: control.Starting, Detail: binary})
	line, theirs, err := d.newLine()
	if err != nil {
		d.registry.Tell(registry.TakeBack{})
		return nil, err
	}
	alone := d.lines.Share()
	successor, err := d.succeedWith(binary, snapshot, theirs)
	if err == nil && !d.succession.fate.CompareAndSwap(undecided, replaced) {
		successor.Reject()
		err = errEnding
	}
	if err != nil {
		alone()
		if line != nil {
			line.Close()
		}
		d.registry.Tell(registry.TakeBack{})
		return nil, err
	}
	d.handOver(successor, line)
	return successor, nil
}

// newLine makes the way of QUIC's packets that a successor gets and that are for
// this process; nil where there is no such port.
func (d *daemon) newLine() (ours *net.UnixConn, theirs *os.File, err error) {
	if d.shared == nil {
		return nil, nil, nil
	}
	if ours, theirs, err = quicport.NewLine(); err != nil {
		err = fmt.Errorf("unable to make a line for the packets of HTTP/3: %w", err)
	}
	return ours, theirs, err
}

// executable says why a program cannot be started, while nothing has happened.
func executable(path string) error {
	_, err := exec.LookPath(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return fmt.Errorf("there is no program at %s: name another one with --binary", path)
	case errors.Is(err, fs.ErrPermission):
		return fmt.Errorf("%s may not be executed: allow it (chmod +x), or name another program with --binary", path)
	case errors.Is(err, syscall.EISDIR):
		return fmt.Errorf("%s is a folder: name a program with --binary", path)
	default:
		return err
	}
}

func (d *daemon) succeedWith(binary string, snapshot store.Snapshot, line *os.File) (*handover.Successor, error) {
	state := handover.State{Version: cli.Version, Records: slices.Collect(snapshot.Each)}
	if d.shared != nil {
		key := d.shared.Key()
		state.QUIC = &handover.QUIC{Generation: d.shared.Generation(), Key: key[:]}
	}
	return handover.Succession{
		Binary: binary,
		Args:   os.Args[1:],
		Env:    os.Environ(),
		State:  state,
		Line:   line,
		Pass:   func(cmd *exec.Cmd) (func(), error) { return sockets.Pass(cmd, d.open()) },
		Follow: d.follow,
		End:    func() { d.succession.hurry.Do(func() { close(d.succession.hurried) }) },
	}.Start(d.signals.end)
}

// handOver gives everything away. The control socket is left before the orders
// that wait are sent away, so that they find the successor there.
func (d *daemon) handOver(successor *handover.Successor, line *net.UnixConn) {
	if d.shared != nil {
		d.shared.HandTo(line, d.held)
		d.shared.HandedOn()
	}
	d.tell(d.manager.HandOver(successor.PID(), "Serving"))
	successor.Proceed()
	d.control.Leave()
	d.registry.Tell(registry.Yield{})
}

// follow makes what this process still has become what the successor has
// committed.
func (d *daemon) follow(f handover.Following, done func()) {
	m := registry.Follow{Reply: system.NewReply[struct{}](), Following: registry.Following{
		Service: f.Service, What: changeNamed(f.What), Record: f.Record, DrainTimeout: f.DrainTimeout,
	}}
	if f.Record != nil {
		m.Assets, _ = load(f.Record.Options) // the successor has logged what is wrong with them
	}
	d.registry.Tell(m)
	go func() {
		defer done()
		if _, err := m.Wait(context.Background(), d.registry.Stopped()); err != nil {
			d.log.Error().Err(err).Str("service", f.Service).Msg("What the new process has changed was not followed")
		}
	}()
}

func newSuccession() *succession {
	return &succession{program: program(), done: make(chan struct{}), hurried: make(chan struct{})}
}

// program is the file that this process was started from: by the name that it
// was given, which may lead elsewhere tomorrow, if it leads there today.
func program() string {
	own, err := os.Executable()
	if err != nil {
		return os.Args[0]
	}
	named, err := exec.LookPath(os.Args[0])
	if err != nil {
		return own
	}
	if named, err = filepath.Abs(named); err != nil {
		return own
	}
	if a, err := os.Stat(named); err == nil {
		if b, err := os.Stat(own); err == nil && os.SameFile(a, b) {
			return named
		}
	}
	return own
}
