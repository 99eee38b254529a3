package accesslog

import (
	"bytes"
	"errors"
	"io"
	"sync"
	"sync/atomic"
	"time"

	"github.com/rs/zerolog"
)

const (
	batchSize  = 64 << 10              // written at once when so much is there
	batchDelay = 50 * time.Millisecond // or when the first line is so old
	maxPending = 4 << 20               // lines beyond are dropped
	closeLimit = 2 * time.Second       // for what is left at Close
)

// errBlocked is returned by Close.
var errBlocked = errors.New("the log's output takes no more lines, the last ones are lost")

// Writer is the one way of all log lines to an output. It never makes its
// callers wait: lines are kept in memory, in order, and written by a goroutine
// of its own, the access log's in batches, all others at once. When the output
// does not keep up, lines are dropped whole, and a line says how many.
type Writer struct {
	out       io.Writer
	wake      chan struct{} // capacity 1: there is something to write now
	closed    chan struct{}
	closeOnce sync.Once
	done      chan struct{} // closed when the goroutine has ended

	// The goroutine's own.
	lost int   // lines that no report has told of
	why  error // the last that the output said; nil: it does not keep up
	torn bool  // the last line was written in part

	shared atomic.Int32  // how many say that another process writes there, too
	total  atomic.Uint64 // lines that were lost

	mu      sync.Mutex
	pending []byte
	spare   []byte // what pending was before, to be used again
	dropped int    // lines, for want of room
	timer   *time.Timer
	ended   bool
}

// NewWriter starts a Writer, which Close ends.
func NewWriter(out io.Writer) *Writer {
	w := &Writer{out: out, wake: make(chan struct{}, 1), closed: make(chan struct{}), done: make(chan struct{})}
	w.timer = time.AfterFunc(batchDelay, w.rouse)
	w.timer.Stop()
	go w.run()
	return w
}

// Share says that another process writes to the same output, until end is called,
// so that lines must not be mixed up with its.
func (w *Writer) Share() (end func()) {
	w.shared.Add(1)
	return sync.OnceFunc(func() { w.shared.Add(-1) })
}

// Write takes one line, or several, and has them written at once. It never
// fails.
func (w *Writer) Write(lines []byte) (int, error) {
	w.add(lines)
	w.rouse()
	return len(lines), nil
}

// batched is the Writer for lines that may wait for others.
type batched struct{ *Writer }

func (b batched) Write(lines []byte) (int, error) {
	if b.add(lines) >= batchSize {
		b.rouse()
	}
	return len(lines), nil
}

// add appends lines to what is pending and returns its size.
func (w *Writer) add(lines []byte) int {
	w.mu.Lock()
	defer w.mu.Unlock()
	switch {
	case w.ended:
		w.out.Write(appendPlain(nil, lines))
	case len(w.pending)+len(lines) > maxPending:
		n := bytes.Count(lines, newline)
		w.dropped += n
		w.total.Add(uint64(n))
	default:
		if len(w.pending) == 0 {
			w.timer.Reset(batchDelay)
		}
		w.pending = appendPlain(w.pending, lines)
	}
	return len(w.pending)
}

var newline = []byte{'\n'}

func (w *Writer) rouse() {
	select {
	case w.wake <- struct{}{}:
	default:
	}
}

func (w *Writer) run() {
	defer close(w.done)
	for {
		select {
		case <-w.wake:
			w.flush()
		case <-w.closed:
			for w.flush(); !w.end(); w.flush() {
			}
			return
		}
	}
}

// flush writes what is pending, and then what was dropped in its stead.
func (w *Writer) flush() {
	w.mu.Lock()
	batch := w.pending
	w.pending, w.spare = w.spare[:0], nil
	w.lost += w.dropped
	w.dropped = 0
	w.timer.Stop()
	w.mu.Unlock()

	w.write(batch)
	w.report()
	w.recycle(batch)
}

func (w *Writer) write(batch []byte) {
	if w.torn {
		if _, err := w.out.Write(newline); err != nil {
			w.miss(batch, err)
			return
		}
		w.torn = false
	}
	for len(batch) > 0 {
		now := len(batch)
		if w.shared.Load() > 0 {
			now = atOnce(batch)
		}
		n, err := w.put(batch[:now])
		if err != nil {
			w.miss(batch[n:], err)
			return
		}
		batch = batch[now:]
	}
}

// miss counts lines that the output did not take, one of them only in part
// maybe.
func (w *Writer) miss(lines []byte, why error) {
	n := bytes.Count(lines, newline)
	w.lost, w.why = w.lost+n, why
	w.total.Add(uint64(n))
}

// Lost returns how many lines were lost.
func (w *Writer) Lost() uint64 { return w.total.Load() }

// atOnce is how much of batch goes into one write of a shared output: as many
// whole lines as a pipe takes without those of others between them (pipe(7),
// PIPE_BUF), or one that is longer than that.
func atOnce(batch []byte) int {
	const most = 4096
	if len(batch) <= most {
		return len(batch)
	}
	if end := bytes.LastIndexByte(batch[:most], '\n'); end >= 0 {
		return end + 1
	}
	if end := bytes.IndexByte(batch, '\n'); end >= 0 {
		return end + 1
	}
	return len(batch)
}

// put writes lines, and says how much of them.
func (w *Writer) put(lines []byte) (n int, err error) {
	if n, err = w.out.Write(lines); err == nil {
		return n, nil
	}
	n = min(max(n, 0), len(lines))
	w.torn = n > 0 && lines[n-1] != '\n'
	return n, err
}

// report tells that lines were lost, or tries again later.
func (w *Writer) report() {
	if w.lost == 0 || w.torn {
		return
	}
	text := "Log lines were lost, the output does not keep up"
	if w.why != nil {
		text = "Log lines were lost, the output did not take them"
	}
	var line bytes.Buffer
	log := zerolog.New(&line)
	log.Log().Time("time", time.Now()).Str("level", "ERROR").Str("msg", text).AnErr("error", w.why).Int("lines", w.lost).Send()
	if _, err := w.put(line.Bytes()); err == nil {
		w.lost, w.why = 0, nil
	}
}

// recycle keeps a buffer for later, unless it has grown out of the usual.
func (w *Writer) recycle(batch []byte) {
	if cap(batch) > 4*batchSize {
		return
	}
	w.mu.Lock()
	w.spare = batch[:0]
	w.mu.Unlock()
}

// end lets later lines be written directly, once nothing is pending.
func (w *Writer) end() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.ended = len(w.pending) == 0
	return w.ended
}

// Close writes what is pending and ends the goroutine. It gives up on an
// output that does not take it within two seconds. Lines that come later are
// written directly.
func (w *Writer) Close() error {
	w.closeOnce.Do(func() { close(w.closed) })
	select {
	case <-w.done:
		return nil
	case <-time.After(closeLimit):
		return errBlocked
	}
}
