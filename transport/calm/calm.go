// Package calm is for tests of limits of time. A machine that stops for a moment
// exceeds a short limit without a fault of what is tested, and long limits make
// long tests.
package calm

import (
	"context"
	"fmt"
	"path/filepath"
	"runtime"
	"sync"
	"testing"
	"time"
)

const (
	unit     = 50 * time.Millisecond
	attempts = 7 // the last one with units of 3.2 s
)

// Try runs a scenario that counts its time in units. If it fails, and the machine
// stopped meanwhile for a good part of a unit, it is run again with a unit twice
// as long, a few times at most. A failure on a machine that ran all the while
// counts at once.
//
// What the scenario does with its testing.TB is of one attempt: a failure, an end
// by Fatal, Cleanup, Context.
func Try(t testing.TB, scenario func(t testing.TB, unit time.Duration)) {
	t.Helper()
	try(t, scenario, watch)
}

func try(t testing.TB, scenario func(testing.TB, time.Duration), watch func() (halted func() time.Duration)) {
	t.Helper()
	length := unit
	for n := 1; ; n++ {
		a := &attempt{TB: t}
		halted := watch()
		a.run(length, scenario)
		halt := halted()
		if !a.Failed() || t.Skipped() {
			return
		}
		if n == attempts || halt < length/4 {
			for _, line := range a.said {
				t.Error(line)
			}
			t.FailNow()
		}
		t.Logf("once more: the machine stopped for %v, and %q", halt, a.said)
		length *= 2
	}
}

// watch adds up, until halted is called, for how long this goroutine did not run
// when it should have.
func watch() (halted func() time.Duration) {
	const pause, usual = time.Millisecond, 5 * time.Millisecond
	stop, result := make(chan struct{}), make(chan time.Duration)
	go func() {
		var all time.Duration
		for ended := false; !ended; {
			begun := time.Now()
			select {
			case <-stop:
				ended = true
			case <-time.After(pause):
			}
			if took := time.Since(begun); took > usual {
				all += took
			}
		}
		result <- all
	}()
	return func() time.Duration { close(stop); return <-result }
}

// attempt is the testing.TB of one run of a scenario.
type attempt struct {
	testing.TB
	ctx    context.Context
	mu     sync.Mutex
	said   []string
	failed bool
	undo   []func()
}

func (a *attempt) run(unit time.Duration, scenario func(testing.TB, time.Duration)) {
	var scene sync.WaitGroup
	scene.Go(func() { // Fatal ends its goroutine
		ctx, cancel := context.WithCancel(a.TB.Context())
		a.ctx = ctx
		defer a.cleanUp()
		defer cancel()
		scenario(a, unit)
	})
	scene.Wait()
}

func (a *attempt) cleanUp() {
	for {
		a.mu.Lock()
		n := len(a.undo)
		if n == 0 {
			a.mu.Unlock()
			return
		}
		last := a.undo[n-1]
		a.undo = a.undo[:n-1]
		a.mu.Unlock()
		last()
	}
}

// Context ends before what Cleanup was given runs, like that of a test.
func (a *attempt) Context() context.Context { return a.ctx }

func (a *attempt) Cleanup(f func()) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.undo = append(a.undo, f)
}

func (a *attempt) fail(text string) {
	_, file, line, _ := runtime.Caller(2)
	a.mu.Lock()
	defer a.mu.Unlock()
	a.failed = true
	a.said = append(a.said, fmt.Sprintf("%s:%d: %s", filepath.Base(file), line, text))
}

func (a *attempt) Failed() bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.failed
}

func (a *attempt) Fail()                          { a.fail("failed") }
func (a *attempt) FailNow()                       { a.fail("failed"); runtime.Goexit() }
func (a *attempt) Error(args ...any)              { a.fail(fmt.Sprint(args...)) }
func (a *attempt) Errorf(format string, v ...any) { a.fail(fmt.Sprintf(format, v...)) }
func (a *attempt) Fatal(args ...any)              { a.fail(fmt.Sprint(args...)); runtime.Goexit() }
func (a *attempt) Fatalf(format string, v ...any) {
	a.fail(fmt.Sprintf(format, v...))
	runtime.Goexit()
}
