// Package system is hollywood behind typed references and a guard. It is the
// only package that touches the library's engine.
//
// The library is fast and small, and v1.0.5 has faults that a proxy cannot
// live with: the fourth panic of an actor's life ends the process, a panic
// loses the actor's state and stalls its inbox for half a second, two poisons
// of one actor leave a waiter hanging. None of them is reached from here:
//
//   - every receiver is wrapped by a guard, so no panic gets to the library;
//   - ids are numbers from a counter, never names, so no two actors share one;
//   - an actor is poisoned once, by Ref.Stop, whoever calls it how often;
//   - actors have no children in the library's sense: who spawned an actor
//     stops it, by a message or by Stop;
//   - a question is answered by a value of ours (Reply), never by the
//     library's Request, which leaks and can cross answers.
package system

import (
	"fmt"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/anthdm/hollywood/actor"
	"github.com/rs/zerolog"
)

// System runs actors. A process has one; a test makes its own.
type System struct {
	engine  *actor.Engine
	log     zerolog.Logger
	lastID  atomic.Uint64
	crashes atomic.Uint64
	running atomic.Int64
}

// New starts an empty system that logs crashes to log.
func New(log zerolog.Logger) (*System, error) {
	engine, err := actor.NewEngine(actor.NewEngineConfig())
	if err != nil {
		return nil, fmt.Errorf("unable to start the actor engine: %w", err)
	}
	return &System{engine: engine, log: log}, nil
}

// Crashes counts the panics that guards have caught since the start.
func (s *System) Crashes() uint64 { return s.crashes.Load() }

// Running counts the actors that were spawned and have not stopped.
func (s *System) Running() int64 { return s.running.Load() }

// Receiver is an actor's behaviour. Receive is called with one message at a
// time, never from two goroutines at once, and must not wait for anything.
type Receiver[M any] interface {
	Receive(M)
}

// Mender is a Receiver that takes care of what a panic has left half done. The
// guard calls Mend with the message after each panic; it reports whether that
// message, if it is a question, will still be answered. If not, it fails.
type Mender[M any] interface {
	Mend(M) bool
}

// Rebuilder is a Receiver that can drop its working state and go back to what
// was last committed. The guard calls Rebuild when panics keep coming.
type Rebuilder interface {
	Rebuild()
}

// Spawn starts an actor that takes messages of type M, usually a sealed
// interface. The id is unique for the life of the system. The inbox begins
// with the given number of places and grows by itself. produce is called before
// Spawn returns, on the caller's goroutine; what self is told meanwhile waits
// in the inbox.
func Spawn[M any](s *System, kind string, inbox int, produce func(self Ref[M]) Receiver[M]) Ref[M] {
	id := strconv.FormatUint(s.lastID.Add(1), 10)
	self := Ref[M]{&cell{
		system:  s,
		pid:     actor.NewPID(s.engine.Address(), kind+"/"+id),
		stopped: make(chan struct{}),
	}}
	g := &guard[M]{cell: self.cell}
	guarded := func() actor.Receiver {
		if g.receiver == nil {
			g.receiver = produce(self)
			s.running.Add(1)
		}
		return g
	}
	s.engine.Spawn(guarded, kind,
		actor.WithID(id), actor.WithInboxSize(inbox),
		actor.WithMaxRestarts(-1), actor.WithRestartDelay(0))
	return self
}

// After tells ref the message m when d has passed, unless the returned timer
// is stopped first. A timer may fire while it is being stopped: messages of
// timers carry a generation, and their receivers ignore stale ones.
func After[M any](ref Ref[M], d time.Duration, m M) *time.Timer {
	return time.AfterFunc(d, func() { ref.Tell(m) })
}
