package upstream

import (
	"errors"
	"fmt"
	"net"
	"os"
	"time"
)

var (
	// ErrUnreachable is in the error when no connection could be made.
	ErrUnreachable = errors.New("the target cannot be reached")
	// ErrTimeout is in the error when the final response's head did not come
	// in time.
	ErrTimeout = errors.New("the target took too long to answer")
	// ErrBroken is in the error when the connection ended before the response
	// did.
	ErrBroken = errors.New("the target ended the connection before its response was complete")
	// ErrClosed is returned by a response's Body after its Close.
	ErrClosed = errors.New("the response was closed")
)

// UnansweredError says that a request failed in a way that lets it be sent
// again, to this target or another: no byte of an answer came, and doing it
// twice is harmless or the target cannot have read any of it. The request's Body
// begins anew then.
type UnansweredError struct {
	Err    error
	Unsent bool // the target cannot have read any of it
	// Deadline is the end of its ResponseTimeout; zero: there is none. See
	// Hurried.
	Deadline time.Time
}

func (e *UnansweredError) Error() string { return e.Err.Error() }

// Unwrap returns how it failed.
func (e *UnansweredError) Unwrap() error { return e.Err }

// BodyError says that it was the request's body that could not be read: the
// client is at fault, and the target did not get the whole request.
type BodyError struct{ Err error }

func (e *BodyError) Error() string {
	return fmt.Sprintf("unable to read the request's body: %v", e.Err)
}

// Unwrap returns what the body's Read returned.
func (e *BodyError) Unwrap() error { return e.Err }

func isTimeout(err error) bool {
	var t net.Error
	return errors.Is(err, os.ErrDeadlineExceeded) || errors.As(err, &t) && t.Timeout()
}
