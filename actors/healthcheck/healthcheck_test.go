package healthcheck_test

import (
	"context"
	"reflect"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rs/zerolog"

	"kamal-proxy/actors/healthcheck"
	"kamal-proxy/actors/system"
)

// patient is one health check, the target that it asks, and what it tells.
type patient struct {
	t       *testing.T
	ref     healthcheck.Ref
	system  *system.System
	began   time.Time
	asked   []time.Duration // when, since it began
	told    []healthcheck.Checked
	toldAt  []time.Duration
	running atomic.Int32
	breaks  bool // what it tells makes its own actor panic
}

type answer func(ctx context.Context, n int) healthcheck.Result

func check(t *testing.T, c healthcheck.Config, answer answer, test func(p *patient)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		sys, err := system.New(zerolog.Nop())
		if err != nil {
			t.Fatal(err)
		}
		p := &patient{t: t, system: sys, began: time.Now()}
		c.ID = 7
		c.Check = func(ctx context.Context) healthcheck.Result {
			if p.running.Add(1) != 1 {
				t.Error("two checks overlap")
			}
			defer p.running.Add(-1)
			p.asked = append(p.asked, time.Since(p.began))
			return answer(ctx, len(p.asked))
		}
		c.Tell = func(result healthcheck.Checked) {
			p.told = append(p.told, result)
			p.toldAt = append(p.toldAt, time.Since(p.began))
			if p.breaks {
				panic("what was told broke something")
			}
		}
		p.ref = healthcheck.Spawn(sys, c)
		test(p)
		p.ref.Tell(healthcheck.Halt{})
		<-p.ref.Stopped()
	})
}

func (p *patient) begin() { p.ref.Tell(healthcheck.Begin{}) }

// pass lets time pass, and everything that is due then happen.
func (p *patient) pass(d time.Duration) {
	time.Sleep(d)
	synctest.Wait()
}

func (p *patient) wantAsked(want ...time.Duration) {
	p.t.Helper()
	if !reflect.DeepEqual(p.asked, want) {
		p.t.Errorf("the target was asked at %v, want %v", p.asked, want)
	}
}

func healthy(context.Context, int) healthcheck.Result {
	return healthcheck.Result{Healthy: true, Status: 200}
}

func refused(context.Context, int) healthcheck.Result {
	return healthcheck.Result{Kind: healthcheck.Refused}
}

// nap takes as long as d, or until ctx ends.
func nap(ctx context.Context, d time.Duration) {
	select {
	case <-time.After(d):
	case <-ctx.Done():
	}
}

const ms = time.Millisecond

func TestNothingBeforeBegin(t *testing.T) {
	check(t, healthcheck.Config{Interval: time.Second, Timeout: time.Second}, healthy, func(p *patient) {
		p.pass(time.Hour)
		p.wantAsked()
	})
}

func TestFirstAtOnceThenEachInterval(t *testing.T) {
	check(t, healthcheck.Config{Interval: 2 * time.Second, Timeout: time.Second}, healthy, func(p *patient) {
		p.begin()
		p.pass(7 * time.Second)
		p.wantAsked(0, 2*time.Second, 4*time.Second, 6*time.Second)
		want := healthcheck.Checked{ID: 7, Result: healthcheck.Result{Healthy: true, Status: 200}}
		if len(p.told) != 4 || p.told[0] != want {
			t.Errorf("it told %v", p.told)
		}
	})
}

func TestSecondBeginIsNoSecondLoop(t *testing.T) {
	check(t, healthcheck.Config{Interval: time.Second, Timeout: time.Minute}, func(ctx context.Context, n int) healthcheck.Result {
		nap(ctx, 500*ms)
		return healthy(ctx, n)
	}, func(p *patient) {
		p.begin()
		p.begin()
		p.pass(100 * ms)
		p.begin()
		p.pass(2 * time.Second)
		p.wantAsked(0, time.Second, 2*time.Second)
	})
}

// A check that takes longer than the interval is followed by the next at once,
// never overlapped by it.
func TestSlowChecksDoNotOverlap(t *testing.T) {
	check(t, healthcheck.Config{Interval: time.Second, Timeout: 5 * time.Second}, func(ctx context.Context, n int) healthcheck.Result {
		nap(ctx, time.Duration(n)*700*ms)
		return healthy(ctx, n)
	}, func(p *patient) {
		p.begin()
		p.pass(5 * time.Second)
		p.wantAsked(0, time.Second, 2400*ms, 4500*ms)
		if p.told[1].Result.Took != 1400*ms {
			t.Errorf("the second check took %v, want 1.4s", p.told[1].Result.Took)
		}
	})
}

func TestRefusedIsTriedAgainSoonWhileWarming(t *testing.T) {
	check(t, healthcheck.Config{Interval: time.Second, Timeout: time.Second}, func(ctx context.Context, n int) healthcheck.Result {
		if n <= 3 {
			return refused(ctx, n)
		}
		return healthy(ctx, n)
	}, func(p *patient) {
		p.begin()
		p.pass(1200 * ms)
		p.wantAsked(0, 50*ms, 100*ms, 150*ms, 1150*ms)
	})
}

func TestRefusedIsNotTriedMoreSlowlyThanItsInterval(t *testing.T) {
	check(t, healthcheck.Config{Interval: 10 * ms, Timeout: time.Second}, refused, func(p *patient) {
		p.begin()
		p.pass(25 * ms)
		p.wantAsked(0, 10*ms, 20*ms)
	})
}

func TestOtherFailuresWaitForTheInterval(t *testing.T) {
	for _, kind := range []healthcheck.Kind{healthcheck.Answered, healthcheck.TimedOut, healthcheck.NoSuchHost, healthcheck.Failed} {
		check(t, healthcheck.Config{Interval: time.Second, Timeout: time.Second}, func(context.Context, int) healthcheck.Result {
			return healthcheck.Result{Kind: kind, Status: 500}
		}, func(p *patient) {
			p.begin()
			p.pass(1500 * ms)
			p.wantAsked(0, time.Second)
		})
	}
}

func TestRefusedWaitsForTheIntervalOnceSettled(t *testing.T) {
	check(t, healthcheck.Config{Interval: time.Second, Timeout: time.Second}, refused, func(p *patient) {
		p.begin()
		p.pass(70 * ms)
		p.ref.Tell(healthcheck.Settle{})
		p.pass(2 * time.Second)
		p.wantAsked(0, 50*ms, 100*ms, 1100*ms) // the one at 100 was due already
	})
}

func TestTimeoutIsGivenToTheCheck(t *testing.T) {
	check(t, healthcheck.Config{Interval: time.Second, Timeout: 3 * time.Second}, func(ctx context.Context, n int) healthcheck.Result {
		<-ctx.Done()
		return healthcheck.Result{Kind: healthcheck.TimedOut}
	}, func(p *patient) {
		p.begin()
		p.pass(3500 * ms)
		p.wantAsked(0, 3*time.Second)
		if len(p.toldAt) != 1 || p.toldAt[0] != 3*time.Second {
			t.Errorf("it told at %v, want at 3s", p.toldAt)
		}
		if got := p.told[0].Result.String(); got != "did not answer within 3s" {
			t.Errorf("in words: it %s", got)
		}
	})
}

// Halt gives up the check under way; goroutines and timers that are left would
// fail the bubble or ask again.
func TestHaltStopsEverything(t *testing.T) {
	for name, moment := range map[string]time.Duration{"before Begin": -1, "in a check": 100 * ms, "between two": 700 * ms} {
		t.Run(name, func(t *testing.T) {
			check(t, healthcheck.Config{Interval: time.Second, Timeout: time.Hour}, func(ctx context.Context, n int) healthcheck.Result {
				nap(ctx, 500*ms)
				return healthy(ctx, n)
			}, func(p *patient) {
				if moment >= 0 {
					p.begin()
					p.pass(moment)
				}
				told := len(p.told)
				asked := len(p.asked)
				p.ref.Tell(healthcheck.Halt{})
				p.ref.Tell(healthcheck.Halt{})
				p.begin()
				p.pass(0)
				select {
				case <-p.ref.Stopped():
				default:
					t.Error("it lives on")
				}
				if p.running.Load() != 0 {
					t.Error("its check goes on")
				}
				p.pass(time.Hour)
				if len(p.told) != told || len(p.asked) != asked {
					t.Errorf("after Halt it asked %d times and told %d times", len(p.asked)-asked, len(p.told)-told)
				}
			})
		})
	}
}

func TestCheckThatPanics(t *testing.T) {
	check(t, healthcheck.Config{Interval: time.Second, Timeout: time.Second}, func(ctx context.Context, n int) healthcheck.Result {
		if n == 1 {
			panic("boom")
		}
		return healthy(ctx, n)
	}, func(p *patient) {
		p.begin()
		p.pass(1500 * ms)
		p.wantAsked(0, time.Second)
		if len(p.told) != 2 || p.told[0].Result.Healthy || !strings.Contains(p.told[0].Result.String(), "boom") || !p.told[1].Result.Healthy {
			t.Errorf("it told %v", p.told)
		}
		if p.system.Crashes() != 1 {
			t.Errorf("%d panics are counted", p.system.Crashes())
		}
	})
}

// A panic in the actor itself ends no checking.
func TestPanicInTheActor(t *testing.T) {
	check(t, healthcheck.Config{Interval: time.Second, Timeout: time.Second}, healthy, func(p *patient) {
		p.breaks = true
		p.begin()
		p.pass(2500 * ms)
		if p.system.Crashes() != 3 {
			t.Fatalf("it crashed %d times: this test shows nothing", p.system.Crashes())
		}
		p.wantAsked(0, time.Second, 2*time.Second)
	})
}

func TestResultInWords(t *testing.T) {
	for want, r := range map[string]healthcheck.Result{
		"answered 500":                                  {Status: 500},
		"answered 500 Internal Server Error":            {Status: 500, Detail: "Internal Server Error"},
		"answered 301 Moved Permanently to https://a/b": {Status: 301, Detail: "Moved Permanently", Location: "https://a/b"},
		"refused the connection":                        {Kind: healthcheck.Refused},
		"did not answer within 5s":                      {Kind: healthcheck.TimedOut, Took: 5001 * ms},
		"has a name that does not resolve":              {Kind: healthcheck.NoSuchHost},
		"failed: EOF":                                   {Kind: healthcheck.Failed, Detail: "EOF"},
	} {
		if got := r.String(); got != want {
			t.Errorf("it %s, want %s", got, want)
		}
	}
}
