package buffer

import (
	"errors"
	"fmt"
	"os"
)

// ErrTooLarge says that a body is larger than Limits.Size.
var ErrTooLarge = errors.New("the body is larger than allowed")

// Limits say how much of a body is kept, and where.
type Limits struct {
	Memory int64  // bytes kept in memory; the rest goes to a file
	Size   int64  // bytes that a whole body may have; 0: no limit
	Dir    string // the file's folder; empty: the system's for temporary files

	create func(dir string) (*os.File, error) // nil: createTemp
}

func (l *Limits) dir() string {
	if l.Dir != "" {
		return l.Dir
	}
	return os.TempDir()
}

func (l *Limits) createFile() (*os.File, error) {
	if l.create != nil {
		return l.create(l.dir())
	}
	return createTemp(l.dir())
}

// DiskError says that the temporary file failed.
type DiskError struct {
	Dir string
	Err error
}

func (e *DiskError) Error() string {
	return fmt.Sprintf("unable to keep a body in a temporary file in %s: %v; make room there, or raise --buffer-memory", e.Dir, e.Err)
}

func (e *DiskError) Unwrap() error { return e.Err }

// ClientError says that a client did not take what it was sent: it has gone.
type ClientError struct{ Err error }

func (e *ClientError) Error() string { return "the client takes no more: " + e.Err.Error() }

func (e *ClientError) Unwrap() error { return e.Err }
