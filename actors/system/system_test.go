package system_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"kamal-proxy/actors/system"
)

// The library's H1: the fourth panic of an actor's life ends the process.
func TestPanicsLeaveProcessActorStateAndQueueAlive(t *testing.T) {
	bubble(t, func(t *testing.T, s *stage) {
		began := time.Now()
		questions := make([]crash, 5)
		after := count{ask()}
		s.batch(func() {
			s.ref.Tell(note("before"))
			for i := range questions {
				questions[i] = crashing(fmt.Sprint("panic ", i))
				s.ref.Tell(questions[i])
			}
			s.ref.Tell(note("after"))
			s.ref.Tell(after)
		})
		for i, q := range questions {
			if _, err := s.wait(q.Reply); !errors.Is(err, system.ErrCrashed) {
				t.Errorf("the asker of panic %d got %v, want ErrCrashed", i, err)
			}
		}
		if n, err := s.wait(after.Reply); n != 2 || err != nil {
			t.Errorf("the actor has noted %d, %v, want 2: what came before the panics and after", n, err)
		}
		if waited := time.Since(began); waited > 0 {
			t.Errorf("the inbox stood still for %v", waited)
		}
		if n := s.Crashes(); n != 5 {
			t.Errorf("%d crashes are counted, want 5", n)
		}
		for _, part := range []string{"panic 0", "panic 4", "script/", "happen", "Actor panicked"} {
			if !strings.Contains(s.log.String(), part) {
				t.Errorf("the log does not have %q", part)
			}
		}
	})
}

func TestPanicOfAnyKindIsCaught(t *testing.T) {
	bubble(t, func(t *testing.T, s *stage) {
		for _, with := range []any{nil, errors.New("an error"), 7, (*script)(nil)} {
			q := crashing(with)
			s.ref.Tell(q)
			if _, err := s.wait(q.Reply); !errors.Is(err, system.ErrCrashed) {
				t.Errorf("panic(%v): the asker got %v", with, err)
			}
		}
	})
}

func TestQuestionWhoseTicketPanicsIsCaught(t *testing.T) {
	bubble(t, func(t *testing.T, s *stage) {
		s.ref.Tell(broken{note("x")})
		after := count{ask()}
		s.ref.Tell(after)
		if _, err := s.wait(after.Reply); err != nil {
			t.Errorf("after a message that cannot be asked for its ticket the actor answers %v", err)
		}
		synctest.Wait()
		select {
		case <-s.ref.Stopped():
			t.Error("the actor is taken for stopped")
		default:
		}
	})
}

func TestPanicsInARowRebuild(t *testing.T) {
	bubble(t, func(t *testing.T, s *stage) {
		rebuilt := func() (n int) {
			done := make(chan struct{})
			s.ref.Tell(do(func(s *script) { n = s.rebuilt; close(done) }))
			<-done
			return n
		}
		for range 4 { // far apart, they are no row
			s.ref.Tell(crashing("now and then"))
			time.Sleep(time.Minute)
		}
		if n := rebuilt(); n != 0 {
			t.Errorf("panics a minute apart rebuilt the actor %d times", n)
		}
		for range 3 {
			s.ref.Tell(crashing("again and again"))
		}
		if n := rebuilt(); n != 1 {
			t.Errorf("three panics in a row rebuilt the actor %d times, want 1", n)
		}
	})
}

// H3: the second of two poisons never returns.
func TestTwoStops(t *testing.T) {
	bubble(t, func(t *testing.T, s *stage) {
		s.batch(func() {
			for range 3 {
				s.ref.Stop()
				go s.ref.Stop()
			}
		})
		<-s.ref.Stopped()
		s.ref.Stop()
		<-s.ref.Stopped()
	})
}

func TestActorStopsItself(t *testing.T) {
	bubble(t, func(t *testing.T, s *stage) {
		s.ref.Tell(do(func(s *script) { s.self.Stop(); s.self.Stop() }))
		<-s.ref.Stopped()
	})
}

func TestStopWhileSpawning(t *testing.T) {
	bubble(t, func(t *testing.T, s *stage) {
		heard := false
		ref := system.Spawn(s.System, "brief", 1, func(self system.Ref[message]) system.Receiver[message] {
			self.Tell(do(func(*script) { heard = true }))
			self.Stop()
			return newScript(self)
		})
		synctest.Wait()
		select {
		case <-ref.Stopped():
		default:
			t.Fatal("an actor that stops itself while it is made lives on")
		}
		if !heard {
			t.Error("what it told itself while it was made was lost")
		}
	})
}

// H3 and H4: a panic and a stop in one batch lose the stop, or leave two
// goroutines that run one actor.
func TestPanicAndStopInOneBatch(t *testing.T) {
	bubble(t, func(t *testing.T, s *stage) {
		before, behind := crashing("before"), crashing("behind")
		s.batch(func() {
			s.ref.Tell(before)
			s.ref.Stop()
			s.ref.Tell(behind)
			for range 100 {
				s.ref.Tell(note("behind"))
			}
		})
		<-s.ref.Stopped()
		for _, q := range []crash{before, behind} {
			if _, err := s.wait(q.Reply); !errors.Is(err, system.ErrCrashed) {
				t.Errorf("an asker got %v, want ErrCrashed", err)
			}
		}
		told := len(s.actor.handled)
		s.ref.Tell(note("late"))
		synctest.Wait()
		if len(s.actor.handled) != told {
			t.Error("the actor works on after it has stopped")
		}
	})
}

// H7: what is told to an actor that is no more is lost, and its sender learns
// nothing.
func TestAskingAStoppedActor(t *testing.T) {
	bubble(t, func(t *testing.T, s *stage) {
		s.ref.Stop()
		<-s.ref.Stopped()
		s.ref.Tell(note("nobody is there"))
		q := count{ask()}
		s.ref.Tell(q)
		if _, err := q.Wait(t.Context(), nil); !errors.Is(err, system.ErrStopped) {
			t.Errorf("the asker got %v, want ErrStopped", err)
		}
	})
}

// H7: the library handles at most a batch behind a stop, and drops the rest.
// Nobody may wait for what it dropped, even who does not know the actor.
func TestQuestionsBehindAStopAreAnswered(t *testing.T) {
	bubble(t, func(t *testing.T, s *stage) {
		questions := make([]count, 10000)
		s.batch(func() {
			s.ref.Stop()
			for i := range questions {
				questions[i] = count{ask()}
				s.ref.Tell(questions[i])
			}
		})
		<-s.ref.Stopped()
		synctest.Wait()
		lost := 0
		for _, q := range questions {
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			if _, err := q.Wait(ctx, nil); err != nil && !errors.Is(err, system.ErrStopped) {
				t.Fatalf("an asker got %v", err)
			} else if err != nil {
				lost++
			}
			cancel()
		}
		if lost == 0 {
			t.Error("all were handled: this test shows nothing")
		}
	})
}

func TestTellKeepsOrder(t *testing.T) {
	bubble(t, func(t *testing.T, s *stage) {
		s.batch(func() {
			for i := range 10000 {
				s.ref.Tell(note(fmt.Sprint(i)))
			}
		})
		synctest.Wait()
		for i, m := range s.actor.handled {
			if m != fmt.Sprint(i) {
				t.Fatalf("message %d is %s", i, m)
			}
		}
		if len(s.actor.handled) != 10000 {
			t.Errorf("%d messages arrived", len(s.actor.handled))
		}
	})
}

func TestNobody(t *testing.T) {
	var nobody system.Ref[message]
	nobody.Tell(note("x"))
	nobody.Stop()
	<-nobody.Stopped()
	if nobody.String() != "nobody" {
		t.Errorf("it is called %s", nobody)
	}
}

func TestNamesAreNumbersAndNeverTheSame(t *testing.T) {
	bubble(t, func(t *testing.T, s *stage) {
		names := map[string]bool{}
		for range 100 {
			ref := system.Spawn(s.System, "script", 1, func(self system.Ref[message]) system.Receiver[message] { return newScript(self) })
			if names[ref.String()] || !strings.HasPrefix(ref.String(), "script/") {
				t.Fatalf("an actor is named %s", ref)
			}
			names[ref.String()] = true
			ref.Stop()
		}
	})
}

func TestAfter(t *testing.T) {
	bubble(t, func(t *testing.T, s *stage) {
		began, fired := time.Now(), time.Duration(0)
		system.After(s.ref, time.Hour, message(do(func(*script) { fired = time.Since(began) })))
		system.After(s.ref, time.Minute, message(crashing("stopped in time"))).Stop()
		time.Sleep(2 * time.Hour)
		synctest.Wait()
		if fired != time.Hour {
			t.Errorf("the timer of an hour fired after %v", fired)
		}
		if s.Crashes() != 0 {
			t.Error("a timer that was stopped has fired")
		}
	})
}
