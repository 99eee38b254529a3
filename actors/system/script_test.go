package system_test

import (
	"bytes"
	"context"
	"errors"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rs/zerolog"

	"kamal-proxy/actors/system"
)

// script is an actor whose messages say what it is to do.
type script struct {
	self    system.Ref[message]
	handled []string
	rebuilt int
	inside  int // goroutines in Receive
}

type message interface{ scriptMessage() }

type (
	do    func(*script)
	note  string
	count struct{ *system.Reply[int] }
	crash struct {
		*system.Reply[int]
		with any
	}
	broken struct{ message } // its Ticket panics: there is no Question in it
)

func (do) scriptMessage()                        {}
func (note) scriptMessage()                      {}
func (count) scriptMessage()                     {}
func (crash) scriptMessage()                     {}
func (broken) Ticket() system.Ticket             { panic("no ticket") }
func (s *script) Rebuild()                       { s.rebuilt++ }
func ask() *system.Reply[int]                    { return system.NewReply[int]() }
func crashing(with any) (c crash)                { return crash{ask(), with} }
func (s *script) note(m note)                    { s.handled = append(s.handled, string(m)) }
func (s *script) answer(c count)                 { c.Answer(len(s.handled), nil) }
func (c crash) happen()                          { panic(c.with) }
func newScript(self system.Ref[message]) *script { return &script{self: self} }

func (s *script) Receive(m message) {
	s.inside++
	defer func() { s.inside-- }()
	if s.inside != 1 {
		panic("two goroutines run one actor")
	}
	switch m := m.(type) {
	case do:
		m(s)
	case note:
		s.note(m)
	case count:
		s.answer(m)
	case crash:
		m.happen()
	}
}

type stage struct {
	*system.System
	t     *testing.T
	log   *locked
	actor *script
	ref   system.Ref[message]
}

// locked is a buffer that actors write to while a test reads it.
type locked struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *locked) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *locked) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// bubble runs a test with one scripted actor, on a clock of its own. A
// goroutine that is left behind fails it.
func bubble(t *testing.T, test func(t *testing.T, s *stage)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		log := &locked{}
		sys, err := system.New(zerolog.New(log))
		if err != nil {
			t.Fatal(err)
		}
		s := &stage{System: sys, t: t, log: log}
		s.ref = system.Spawn(sys, "script", 16, func(self system.Ref[message]) system.Receiver[message] {
			s.actor = newScript(self)
			return s.actor
		})
		test(t, s)
		s.ref.Stop()
		<-s.ref.Stopped()
		synctest.Wait()
		if n := sys.Running(); n != 0 {
			t.Errorf("%d actors are counted as running", n)
		}
	})
}

func (s *stage) wait(r *system.Reply[int]) (int, error) {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(s.t.Context(), time.Hour)
	defer cancel()
	n, err := r.Wait(ctx, s.ref.Stopped())
	if errors.Is(err, context.DeadlineExceeded) {
		s.t.Error("a question was never answered")
	}
	return n, err
}

// batch makes the messages arrive as one batch: the actor is busy until all of
// them are in its inbox.
func (s *stage) batch(tell func()) {
	busy, free := make(chan struct{}), make(chan struct{})
	s.ref.Tell(do(func(*script) { close(busy); <-free }))
	<-busy
	tell()
	close(free)
}
