package upstream

import (
	"errors"
	"fmt"
	"net"
	"os"
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
