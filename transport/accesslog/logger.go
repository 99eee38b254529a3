// Package accesslog writes the log: a line for each request, and the process's
// own lines, all of them JSON.
package accesslog

import (
	"io"
	"sync"
)

// Logger writes the access log. It may be used by many goroutines at once.
type Logger struct {
	writer *Writer
	owned  bool // the writer is to be closed
}

// New makes a Logger that writes to out in batches. If out is a Writer, its
// lines keep their place among those of others, and closing it is up to its
// owner.
func New(out io.Writer) *Logger {
	if writer, ok := out.(*Writer); ok {
		return &Logger{writer: writer}
	}
	return &Logger{writer: NewWriter(out), owned: true}
}

// Log writes the line of one request that is over.
func (l *Logger) Log(e *Entry) {
	line := lines.Get().(*line)
	line.text = appendLine(line.text[:0], e)
	batched{l.writer}.Write(line.text)
	if cap(line.text) <= maxKeptLine {
		lines.Put(line)
	}
}

// line is room for one line.
type line struct{ text []byte }

const maxKeptLine = 16 << 10

var lines = sync.Pool{New: func() any { return &line{make([]byte, 0, 1<<10)} }}

// Close writes what has not been written yet.
func (l *Logger) Close() error {
	if !l.owned {
		return nil
	}
	return l.writer.Close()
}
