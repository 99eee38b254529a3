package handover

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// DefaultStartTimeout is how long a successor may take to get ready.
const DefaultStartTimeout = 30 * time.Second

// lastWords is how long to wait for what a process that has ended said last.
const lastWords = 500 * time.Millisecond

// Succession says who takes this process's place, and how.
type Succession struct {
	Binary string   // an absolute path
	Args   []string // without the program's name
	Env    []string
	State  State
	// Line is a file for the successor, which Start closes; nil: none.
	Line *os.File
	// Pass gives the command the sockets, by ExtraFiles and Env; release is
	// called when it has been started, or has not.
	Pass func(*exec.Cmd) (release func(), err error)
	// StartTimeout is how long it may take to get ready; 0: DefaultStartTimeout.
	StartTimeout time.Duration

	// Follow is called for each Following, in their order, once the successor
	// has been told to proceed. It must not wait; it calls done when what was
	// replaced has drained.
	Follow func(f Following, done func())
	// End is called when the successor is told to end. It must not wait.
	End func()
}

// Successor is the process that takes this one's place.
type Successor struct {
	Version    string
	pid        int
	succession Succession
	pair       *pair
	process    *os.Process
	ready      chan Ready
	failed     chan Failed
	exited     chan struct{} // closed when the process has ended
	state      *os.ProcessState
	errors     *lastLine
}

// Start starts the successor, and returns when it is ready. If it does not get
// ready, or ctx ends before it is, it is there no more, and the error says why.
func (s Succession) Start(ctx context.Context) (*Successor, error) {
	if s.Line != nil {
		defer s.Line.Close()
	}
	pair, theirs, err := newSocketPair()
	if err != nil {
		return nil, fmt.Errorf("unable to make a connection for the new process: %w", err)
	}
	n := &Successor{
		succession: s, pair: pair,
		ready: make(chan Ready, 1), failed: make(chan Failed, 1), exited: make(chan struct{}),
	}
	err = n.start(theirs)
	theirs.Close() // so that the pair breaks when the process ends
	if err != nil {
		pair.close()
		return nil, err
	}
	go pair.each(n.take)
	s.State.Protocol = protocol
	pair.send(message{State: &s.State})
	if err := n.await(ctx); err != nil {
		n.Reject()
		return nil, err
	}
	return n, nil
}

// Reject ends a successor that was not told to proceed. Then it is there no more.
func (n *Successor) Reject() {
	n.process.Kill()
	<-n.exited
	n.pair.close()
}

// start starts the process. Until it proceeds, its standard error goes through
// this one, for the last line of it may be all that it says about a failure.
func (n *Successor) start(theirs *os.File) error {
	s := n.succession
	cmd := exec.Command(s.Binary, s.Args...)
	cmd.Env = slices.DeleteFunc(slices.Clone(s.Env), func(v string) bool { return strings.HasPrefix(v, Variable+"=") })
	release, err := s.Pass(cmd)
	if err != nil {
		return err
	}
	defer release()
	listen, speak, err := os.Pipe()
	if err != nil {
		return fmt.Errorf("unable to make a pipe for the new process: %w", err)
	}
	defer speak.Close()
	cmd.Stdout, cmd.Stderr = os.Stdout, speak
	files := []*os.File{theirs, os.Stderr}
	if s.Line != nil {
		files = append(files, s.Line)
	}
	var numbers []string
	for _, file := range files {
		numbers = append(numbers, strconv.Itoa(3+len(cmd.ExtraFiles)))
		cmd.ExtraFiles = append(cmd.ExtraFiles, file)
	}
	cmd.Env = append(cmd.Env, Variable+"="+strings.Join(numbers, ","))
	if err := cmd.Start(); err != nil {
		listen.Close()
		return fmt.Errorf("unable to start %s: %w", s.Binary, reasonOf(err))
	}
	n.process = cmd.Process
	n.errors = keepLastLine(listen, os.Stderr)
	go func() {
		cmd.Wait()
		n.state = cmd.ProcessState
		close(n.exited)
	}()
	return nil
}

// reasonOf leaves out what os says of where an error came from.
func reasonOf(err error) error {
	switch {
	case errors.Is(err, syscall.ENOEXEC):
		return fmt.Errorf("%w: it is no program for this machine, name another one", syscall.ENOEXEC)
	case errors.Is(err, fs.ErrNotExist):
		return errors.New("it, or the interpreter or loader that it names, is not there")
	}
	if path := (*os.PathError)(nil); errors.As(err, &path) {
		return path.Err
	}
	return err
}

// await returns nil when the successor is ready.
func (n *Successor) await(ctx context.Context) error {
	limit := n.succession.StartTimeout
	if limit == 0 {
		limit = DefaultStartTimeout
	}
	late := time.NewTimer(limit)
	defer late.Stop()
	select {
	case ready := <-n.ready:
		n.Version, n.pid = ready.Version, cmp.Or(ready.PID, n.process.Pid)
		return nil
	case failed := <-n.failed:
		return errors.New(failed.Error)
	case <-n.exited:
		return n.obituary()
	case <-n.pair.broken:
		return n.hangup()
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-late.C:
		return fmt.Errorf("%s was not ready after %v", n.succession.Binary, limit)
	}
}

// hangup says why the pair is closed before the successor was ready.
func (n *Successor) hangup() error {
	select {
	case failed := <-n.failed: // that closed the pair
		return errors.New(failed.Error)
	default:
	}
	select {
	case <-n.exited:
		return n.obituary()
	case <-time.After(lastWords):
		return fmt.Errorf("%s does not know how to take over: is it a kamal-proxy that can?", n.succession.Binary)
	}
}

func (n *Successor) obituary() error {
	select { // what it sent before it ended is read before the pair breaks
	case <-n.pair.broken:
	case <-time.After(lastWords):
	}
	select {
	case failed := <-n.failed:
		return errors.New(failed.Error)
	default:
	}
	if said := n.errors.wait(lastWords); said != "" {
		return fmt.Errorf("%s ended (%v) before it was ready and said: %s", n.succession.Binary, n.state, strings.TrimPrefix(said, "Error: "))
	}
	return fmt.Errorf("%s ended (%v) before it was ready and said nothing: is it a kamal-proxy?", n.succession.Binary, n.state)
}

// PID is the successor's.
func (n *Successor) PID() int { return n.pid }

// Proceed gives everything away. It returns when the successor has been told.
func (n *Successor) Proceed() { n.pair.say(message{Proceed: &struct{}{}}) }

// Gone is closed when the successor is there no more.
func (n *Successor) Gone() <-chan struct{} { return n.pair.broken }

func (n *Successor) take(m message) {
	switch {
	case m.Ready != nil:
		select {
		case n.ready <- *m.Ready:
		default:
		}
	case m.Failed != nil:
		select {
		case n.failed <- *m.Failed:
		default:
		}
	case m.Follow != nil:
		number := m.Follow.Number
		n.succession.Follow(m.Follow.Following, func() { n.pair.send(message{Followed: &followed{number}}) })
	case m.End != nil:
		n.succession.End()
	}
}
