package handover

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// Variable tells a successor which of its files are for it: the numbers, with
// commas, of its end of the pair, of the standard error to go on with, and, where
// there is one, of Succession.Line.
const Variable = "KAMAL_PROXY_HANDOVER"

// stateTimeout is how long a predecessor may take to send its state.
const stateTimeout = 30 * time.Second

var (
	errPredecessorGone = errors.New("the process to be replaced has ended, or has given up waiting, before it handed anything over")
	errNoState         = errors.New("the process to be replaced has not said what there is to take over")
)

// Predecessor is the process that this one is to replace.
type Predecessor struct {
	pair   *pair
	stderr int      // the file to go on with
	line   *os.File // nil: none

	state   chan State
	proceed chan struct{} // closed at Proceed

	mu     sync.Mutex // guards what follows
	last   uint64
	undone map[uint64]func() // Follows that are under way; nil: there is nobody
}

// Join returns the predecessor that started this process, or nil if it was
// started by somebody else. No process that this one starts inherits it.
func Join() (*Predecessor, error) {
	value, given := os.LookupEnv(Variable)
	os.Unsetenv(Variable)
	if !given {
		return nil, nil
	}
	var files []int
	for number := range strings.SplitSeq(value, ",") {
		n, err := strconv.Atoi(number)
		if err != nil || n <= 2 {
			return nil, notOurs(value)
		}
		unix.CloseOnExec(n)
		files = append(files, n)
	}
	if len(files) < 2 {
		return nil, notOurs(value)
	}
	pair, err := pairOn(os.NewFile(uintptr(files[0]), "predecessor"))
	if err != nil {
		return nil, fmt.Errorf("%s is %q, which names no connection to a process to replace: unset it: %w", Variable, value, err)
	}
	p := join(pair, files[1])
	if len(files) > 2 {
		p.line = os.NewFile(uintptr(files[2]), "line")
	}
	return p, nil
}

func notOurs(value string) error {
	return fmt.Errorf("%s is %q, which only kamal-proxy sets, for a process that it starts: unset it", Variable, value)
}

func join(pair *pair, stderr int) *Predecessor {
	p := &Predecessor{
		pair: pair, stderr: stderr,
		state:   make(chan State, 1),
		proceed: make(chan struct{}),
		undone:  map[uint64]func(){},
	}
	go func() {
		pair.each(p.take)
		p.leave()
	}()
	return p
}

// State is what there is to take over.
func (p *Predecessor) State(ctx context.Context) (State, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, stateTimeout, errNoState)
	defer cancel()
	select {
	case state := <-p.state:
		if state.Protocol != protocol {
			return State{}, fmt.Errorf("kamal-proxy %s speaks another protocol (%d) than this one (%d): start this one anew instead",
				state.Version, state.Protocol, protocol)
		}
		return state, nil
	case <-p.pair.broken:
		if err := p.pair.err; err != nil {
			return State{}, fmt.Errorf("what the process to be replaced hands over cannot be read, so start this one anew instead: %w", err)
		}
		return State{}, errPredecessorGone
	case <-ctx.Done():
		return State{}, context.Cause(ctx)
	}
}

// Line is the Succession's, which the caller closes; nil: there is none.
func (p *Predecessor) Line() *os.File { return p.line }

// Fail tells the predecessor why this process ends instead.
func (p *Predecessor) Fail(err error) {
	p.pair.say(message{Failed: &Failed{Error: err.Error()}})
	p.pair.close()
}

// Ready says that this process could serve, and waits until it may. With an
// error it may not: nothing is its own.
func (p *Predecessor) Ready(ctx context.Context, version string) error {
	if err := p.adoptStderr(); err != nil {
		p.Fail(err)
		return err
	}
	p.pair.send(message{Ready: &Ready{Version: version, PID: os.Getpid()}})
	select {
	case <-p.proceed:
		return nil
	case <-p.pair.broken:
	case <-ctx.Done():
	}
	select {
	case <-p.proceed: // and only then came the end
		return nil
	default:
	}
	p.pair.close()
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return errPredecessorGone
}

// adoptStderr ends the detour over the predecessor, which listens to what a
// successor says that fails.
func (p *Predecessor) adoptStderr() error {
	if p.stderr < 0 {
		return nil
	}
	defer unix.Close(p.stderr)
	if err := dup2(p.stderr, 2); err != nil {
		return fmt.Errorf("unable to take over the standard error: %w", err)
	}
	return nil
}

// Follow tells the predecessor to follow, and calls done when it has: what was
// replaced there has drained, or been cut off. It does not wait, and done must
// not.
func (p *Predecessor) Follow(f Following, done func()) {
	p.mu.Lock()
	there := p.undone != nil
	if there {
		p.last++
		p.undone[p.last] = done
		p.pair.send(message{Follow: &follow{p.last, f}}) // in the order of the numbers
	}
	p.mu.Unlock()
	if !there {
		done()
	}
}

// End tells the predecessor to end within its time to shut down.
func (p *Predecessor) End() { p.pair.send(message{End: &struct{}{}}) }

// Gone is closed when the predecessor is there no more.
func (p *Predecessor) Gone() <-chan struct{} { return p.pair.broken }

func (p *Predecessor) take(m message) {
	switch {
	case m.State != nil:
		select {
		case p.state <- *m.State:
		default:
		}
	case m.Proceed != nil:
		select {
		case <-p.proceed:
		default:
			close(p.proceed)
		}
	case m.Followed != nil:
		p.followed(m.Followed.Number)
	}
}

func (p *Predecessor) followed(number uint64) {
	p.mu.Lock()
	done := p.undone[number]
	delete(p.undone, number)
	p.mu.Unlock()
	if done != nil {
		done()
	}
}

// leave calls what nobody will answer any more.
func (p *Predecessor) leave() {
	p.mu.Lock()
	undone := p.undone
	p.undone = nil
	p.mu.Unlock()
	for _, done := range undone {
		done()
	}
}
