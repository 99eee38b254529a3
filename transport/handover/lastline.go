package handover

import (
	"bufio"
	"io"
	"strings"
	"sync"
	"time"
)

// maxLine bounds how much of a line is kept, in bytes.
const maxLine = 500

// lastLine is the last line of what a process said, which goes on to whom it
// was meant for.
type lastLine struct {
	mu   sync.Mutex // guards line
	line string
	end  chan struct{} // closed when nothing more comes
}

// keepLastLine copies from r, which it closes at its end, to w.
func keepLastLine(r io.ReadCloser, w io.Writer) *lastLine {
	l := &lastLine{end: make(chan struct{})}
	go func() {
		defer close(l.end)
		defer r.Close()
		for lines := bufio.NewReader(r); ; {
			line, err := lines.ReadSlice('\n')
			w.Write(line)
			l.keep(string(line))
			if err != nil && err != bufio.ErrBufferFull {
				return
			}
		}
	}()
	return l
}

func (l *lastLine) keep(line string) {
	if line = strings.TrimSpace(line); line == "" {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.line = line[:min(len(line), maxLine)]
}

// wait returns the line when no more comes, or the last one until then.
func (l *lastLine) wait(limit time.Duration) string {
	select {
	case <-l.end:
	case <-time.After(limit):
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.line
}
