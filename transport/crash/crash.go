// Package crash is about panics that were caught, so that each costs one
// request or one connection and not the process: they are counted, and logged
// with their stack.
package crash

import (
	"errors"
	"fmt"
	"os"
	"runtime/debug"
	"sync/atomic"

	"github.com/rs/zerolog"
)

var (
	total    atomic.Uint64
	fallback atomic.Pointer[zerolog.Logger]
)

// Total counts the panics that were caught since the start.
func Total() uint64 { return total.Load() }

// LogTo names the log of those panics that come where there is none at hand. It
// is called once, at the start; until then it is stderr.
func LogTo(log zerolog.Logger) { fallback.Store(&log) }

// Caught counts a panic, and begins the line of the log that tells of it. It is
// called by the deferred function that has recovered it, where the stack is
// still that of the panic.
func Caught(log zerolog.Logger, cause any) *zerolog.Event {
	total.Add(1)
	return line(log, cause, debug.Stack())
}

func line(log zerolog.Logger, cause any, stack []byte) *zerolog.Event {
	return log.Error().Str("panic", fmt.Sprint(cause)).Bytes("stack", stack)
}

// Guard is deferred around what a panic may end, but nothing else.
func Guard(log zerolog.Logger, what string) {
	if cause := recover(); cause != nil {
		Caught(log, cause).Msg(what)
	}
}

// Run runs f, and reports whether it came to its end.
func Run(what string, f func()) (ended bool) {
	log := fallback.Load()
	if log == nil {
		stderr := zerolog.New(os.Stderr)
		log = &stderr
	}
	defer Guard(*log, what)
	f()
	return true
}

// Go runs f on a goroutine of its own.
func Go(what string, f func()) {
	go Run(what, f)
}

// ErrPanicked is in the error that a panic was made into.
var ErrPanicked = errors.New("internal error, see the log of the proxy")

// Error is a panic of another goroutine than the one that has to tell of it.
type Error struct {
	cause any
	stack []byte
}

// Made counts a panic and makes it an error. It is called as Caught is.
func Made(cause any) *Error {
	total.Add(1)
	return &Error{cause, debug.Stack()}
}

func (e *Error) Error() string { return fmt.Sprintf("panic: %v", e.cause) }

// Unwrap returns ErrPanicked.
func (e *Error) Unwrap() error { return ErrPanicked }

// Log begins the line of the log that tells of it.
func (e *Error) Log(log zerolog.Logger) *zerolog.Event { return line(log, e.cause, e.stack) }
