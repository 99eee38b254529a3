package cli

import (
	"fmt"
	"io"
	"time"

	"kamal-proxy/transport/control"
)

// steps shows the progress of an order, on stderr if that is a terminal: a
// line for each step that is news. What changes while nothing else happens
// changes in its place.
type steps struct {
	console  *console
	switched string // what the switch means to new requests
	elapsed  func() time.Duration
	said     map[string]string // the last text, by key
	last     string            // the key of the lowest line
}

func (c *console) steps(switched string) *steps {
	began := time.Now()
	return &steps{
		console:  c,
		switched: switched,
		elapsed:  func() time.Duration { return time.Since(began) },
		said:     map[string]string{},
	}
}

func (s *steps) told(step control.Step) {
	if !s.console.errTTY {
		return
	}
	key := string(step.Stage) + " " + step.Target
	mark, text := s.say(step)
	text = printable(text)
	inPlace := key == s.last && !s.console.plain
	if !inPlace && s.said[key] == text {
		return
	}
	line := s.line(mark, text) + "\n"
	if inPlace {
		line = "\x1b[A\r\x1b[K" + line
	}
	io.WriteString(s.console.err, line)
	s.said[key], s.last = text, key
}

// mark stands before a step.
type mark struct {
	sign  string
	style style
}

var (
	under = mark{"·", faint} // under way
	good  = mark{"✓", green}
	bad   = mark{"!", yellow}
)

func (s *steps) say(step control.Step) (mark, string) {
	switch step.Stage {
	case control.Parked:
		return under, "waiting for an upgrade of the proxy to end"
	case control.Queued:
		return under, "waiting for another deploy of this service"
	case control.Checking:
		return under, step.Target + " " + step.Detail
	case control.Healthy:
		return good, step.Target + " is healthy: it " + step.Detail
	case control.Switched:
		return good, s.switched
	case control.Draining:
		return under, "waiting for " + requests(step.InFlight) + " to end"
	case control.Cut:
		return bad, requests(step.InFlight) + " cut off, the time to drain was up"
	case control.Concluding:
		return under, "waiting for orders under way to end"
	case control.Starting:
		return under, "starting " + step.Detail
	case control.Drained:
		return good, "drained"
	default:
		return under, string(step.Stage) + " " + step.Target + " " + step.Detail
	}
}

func requests(n int) string {
	if n == 1 {
		return "1 request"
	}
	return fmt.Sprintf("%d requests", n)
}

const beforeText = len("  12.3s  ✓ ") // columns, at most, and a few to spare

// line fits into one row of the terminal, so that it can be written over.
func (s *steps) line(m mark, text string) string {
	elapsed := fmt.Sprintf("%6.1fs", s.elapsed().Seconds())
	if width := s.console.width(); width > beforeText {
		text = shorten(text, width-beforeText)
	}
	if s.console.plain {
		return elapsed + "  " + m.sign + " " + text
	}
	return faint.paint(elapsed) + "  " + m.style.paint(m.sign) + " " + text
}

func shorten(s string, columns int) string {
	if runes := []rune(s); len(runes) > columns {
		return string(runes[:columns-1]) + "…"
	}
	return s
}
