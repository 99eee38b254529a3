package service

import (
	"context"
	"errors"
	"runtime"
	"sync"
	"testing"
	"testing/synctest"

	"github.com/rs/zerolog"

	"kamal-proxy/actors/system"
)

var errTest = errors.New("a test's error")

func TestRouteIsAnsweredOnce(t *testing.T) {
	r := NewRoute()
	if !r.Answer(Verdict{Status: 1}) || r.Answer(Verdict{Status: 2}) {
		t.Error("the first answer does not win")
	}
	r.Refuse(3)
	r.Ticket().Asked.Fail(r.Ticket().Turn, errTest)
	if v, err := r.Await(t.Context(), nil); v.Status != 1 || err != nil {
		t.Errorf("the answer is %v, %v", v.Status, err)
	}
}

func TestRouteThatFails(t *testing.T) {
	r := NewRoute()
	ticket := r.Ticket()
	ticket.Asked.Fail(ticket.Turn, errTest)
	if r.win() {
		t.Error("it is answered after it failed")
	}
	if _, err := r.Await(t.Context(), nil); !errors.Is(err, errTest) {
		t.Errorf("its error is %v", err)
	}
}

func TestRouteThatIsAbandoned(t *testing.T) {
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(errTest)
	r := NewRoute()
	var left *Route
	if _, err := r.Await(ctx, func(r *Route) { left = r }); !errors.Is(err, errTest) || left != r {
		t.Errorf("Await returned %v", err)
	}
	if r.win() {
		t.Error("it is answered though its asker has left")
	}
	r.Fail(r.Ticket().Turn, errTest)
	select {
	case <-r.answered:
		t.Error("it fails though its asker has left")
	default:
	}
}

// A Route that was answered is another question soon: what was meant for the
// one before must not reach it.
func TestTicketOfAnEarlierTurnFailsNobody(t *testing.T) {
	r := NewRoute()
	ticket := r.Ticket()
	r.Refuse(1)
	r.Host, r.Cut = "a.test", func(error) {}
	<-r.answered
	r.renew() // as its asker does
	if r.Host != "" || r.Cut != nil || r.verdict.Status != 0 {
		t.Error("the next question begins with what the one before left")
	}
	ticket.Asked.Fail(ticket.Turn, errTest)
	r.Refuse(2)
	if v, err := r.Await(t.Context(), nil); v.Status != 2 || err != nil {
		t.Errorf("its answer is %v, %v", v.Status, err)
	}
}

// asked is an actor that answers Routes, and panics behind each answer.
type asked struct{}

func (asked) Receive(m Message) {
	m.(*Route).Refuse(200)
	runtime.Gosched() // the asker may use the Route again before the panic is caught
	panic("behind the answer")
}

// The same through the guard, with many askers that use few Routes.
func TestPanicBehindAnAnswerFailsNobody(t *testing.T) {
	s, err := system.New(zerolog.Nop())
	if err != nil {
		t.Fatal(err)
	}
	ref := system.Spawn(s, "asked", 16, func(Ref) system.Receiver[Message] { return asked{} })
	var askers sync.WaitGroup
	for range 8 {
		askers.Go(func() {
			for range 500 {
				r := NewRoute()
				r.Forward(ref)
				if v, err := r.Await(t.Context(), func(*Route) {}); err != nil || v.Status != 200 {
					t.Errorf("an asker got %v, %v", v.Status, err)
				}
			}
		})
	}
	askers.Wait()
	ref.Stop()
	<-ref.Stopped()
}

// A request is given its answer or leaves; whichever it is, its lease is gone
// at the end.
func TestAnswerAndLeaveRace(t *testing.T) {
	runtime.GC()
	runtime.GC() // Routes of other tests belong to no bubble
	synctest.Test(t, func(t *testing.T) {
		answered, left := 0, 0
		for round := range 2000 {
			r := NewRoute()
			ctx, cancel := context.WithCancel(t.Context())
			granted := make(chan bool, 1)
			answer := func() {
				ok := r.win()
				if ok {
					r.verdict.Status = 200
					r.deliver()
				}
				granted <- ok
			}
			switch round { // each is sure to be first once
			case 0:
				answer()
				go cancel()
			case 1:
				cancel()
			default:
				go answer()
				go cancel()
			}
			v, err := r.Await(ctx, func(*Route) {})
			if round == 1 {
				answer()
			}
			switch ok := <-granted; {
			case ok && err == nil && v.Status == 200:
				answered++
			case !ok && errors.Is(err, context.Canceled):
				left++
			default:
				t.Fatalf("granted: %v, but the asker got %v, %v", ok, v.Status, err)
			}
		}
		if answered == 0 || left == 0 {
			t.Errorf("%d were answered and %d left, want some of both", answered, left)
		}
	})
	runtime.GC()
	runtime.GC()
}
