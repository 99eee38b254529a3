package http2

// line is the streams that wait for the same thing, the first to come first. Who
// leaves calls the next: each looks for itself whether there is enough.
type line struct{ streams []*stream }

// isNext reports whether s need not wait behind another one.
func (l *line) isNext(s *stream) bool { return len(l.streams) == 0 || l.streams[0] == s }

// admit lets the first one try.
func (l *line) admit() {
	if len(l.streams) > 0 {
		l.streams[0].sendable.Signal()
	}
}

func (s *stream) join(l *line) {
	if s.line != l {
		s.leaveLine()
		s.line = l
		l.streams = append(l.streams, s)
	}
}

func (s *stream) leaveLine() {
	l := s.line
	if l == nil {
		return
	}
	s.line = nil
	for i := range l.streams {
		if l.streams[i] == s {
			last := len(l.streams) - 1
			copy(l.streams[i:], l.streams[i+1:])
			l.streams[last] = nil
			l.streams = l.streams[:last]
			break
		}
	}
	l.admit()
}

// await waits until the stream may put want bytes, or some of them, into what
// is to be sent. body says that they count for flow control.
func (s *stream) await(want int, body bool) (int, error) {
	c := s.conn
	for {
		n := min(want, c.room(want))
		if n == 0 && !c.broken {
			c.kick()
			n = min(want, c.room(want))
		}
		if body {
			n = int(min(int64(n), s.window, c.window))
		}
		switch {
		case s.reset || c.broken:
			s.leaveLine()
			return 0, errGone
		case body && s.window <= 0:
			s.leaveLine()
		case body && (c.window <= 0 || !c.forWindow.isNext(s)):
			s.join(&c.forWindow)
		case n <= 0 || !c.out.forRoom.isNext(s):
			s.join(&c.out.forRoom)
		default:
			s.leaveLine()
			return n, nil
		}
		c.kick()
		s.sendable.Wait()
	}
}
