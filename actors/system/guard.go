package system

import (
	"errors"
	"fmt"
	"runtime/debug"
	"time"

	"github.com/anthdm/hollywood/actor"
)

var (
	// ErrCrashed answers the question whose handling panicked.
	ErrCrashed = errors.New("internal error, see the log of the proxy")
	// ErrStopped answers a question to an actor that is no more.
	ErrStopped = errors.New("the proxy is shutting down")
)

// Panics of one actor that come closer together than this count as a row.
const crashWindow = 10 * time.Second

// crashesInARow is how many panics of a row make the guard rebuild the actor.
const crashesInARow = 3

// guard stands between the library and a receiver. No panic passes it: the
// asker of the message that panicked gets an error, the actor keeps its state
// and its inbox, and goes on with the next message.
type guard[M any] struct {
	cell     *cell
	receiver Receiver[M]
	asked    Ticket // of the message in hand
	message  M
	stopped  bool
	row      int
	last     time.Time
}

// Receive implements the library's Receiver.
func (g *guard[M]) Receive(c *actor.Context) {
	m, ok := c.Message().(M)
	if !ok {
		g.live(c.Message())
		return
	}
	// The ticket is taken first: once a pooled question is answered, it may
	// already be another one.
	g.asked, g.message = TicketOf(m), m
	defer g.rescue()
	g.receiver.Receive(m)
}

// rescue is deferred around a message. It keeps the frame above it small: see
// Ref.Tell.
func (g *guard[M]) rescue() {
	if cause := recover(); cause != nil {
		g.crashed(g.asked, cause, debug.Stack())
	}
}

// live takes what the library says about the actor's life.
func (g *guard[M]) live(m any) {
	switch m.(type) {
	case actor.Initialized, actor.Started:
	case actor.Stopped:
		if !g.stopped {
			g.stopped = true
			g.cell.system.running.Add(-1)
			g.cell.ended.Store(true)
			close(g.cell.stopped)
		}
	default:
		g.cell.system.log.Error().Str("actor", g.cell.pid.ID).Msgf("Message of an unknown type %T was dropped", m)
	}
}

func (g *guard[M]) crashed(asked Ticket, cause any, stack []byte) {
	g.cell.system.crashed(g.cell.pid.ID, cause, stack)
	if !g.mend() {
		asked.Fail(ErrCrashed)
	}
	if now := time.Now(); now.Sub(g.last) > crashWindow {
		g.row, g.last = 1, now
	} else {
		g.row, g.last = g.row+1, now
	}
	if r, ok := g.receiver.(Rebuilder); ok && g.row >= crashesInARow {
		g.row = 0
		g.rebuild(r)
	}
}

// mend reports whether the message that panicked will still be answered.
func (g *guard[M]) mend() (answers bool) {
	if r, ok := g.receiver.(Mender[M]); ok {
		g.cell.system.Protect(g.cell.pid.ID, func() { answers = r.Mend(g.message) })
	}
	return answers
}

func (g *guard[M]) rebuild(r Rebuilder) {
	g.cell.system.log.Error().Str("actor", g.cell.pid.ID).Msg("Actor keeps panicking and is rebuilt from its last committed state")
	g.cell.system.Protect(g.cell.pid.ID, r.Rebuild)
}

// Protect runs a step that others must outlive, such as a function that an
// actor was given. A panic in it is logged and counted, and goes no further.
func (s *System) Protect(actor string, step func()) {
	defer func() {
		if cause := recover(); cause != nil {
			s.crashed(actor, cause, debug.Stack())
		}
	}()
	step()
}

func (s *System) crashed(actor string, cause any, stack []byte) {
	s.crashes.Add(1)
	s.log.Error().Str("actor", actor).Str("panic", fmt.Sprint(cause)).Bytes("stack", stack).Msg("Actor panicked")
}
