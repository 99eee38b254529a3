package buffer

import (
	"bytes"
	"errors"
	"io"
	"strings"
	"sync/atomic"
	"testing"
	"testing/iotest"
	"testing/synctest"
	"time"
)

// recorder is a client that writes down what it gets: each flush ends a piece.
type recorder struct {
	all    bytes.Buffer
	held   int // bytes that were not flushed
	pieces []int

	gate chan struct{}        // where there is one, a Write waits for a value
	fail error                // of the next Write
	hook func(p []byte)       // called in each Write
	slow func() time.Duration // how long a Write takes
}

func (c *recorder) Write(p []byte) (int, error) {
	if c.hook != nil {
		c.hook(p)
	}
	if c.gate != nil {
		<-c.gate
	}
	if c.slow != nil {
		time.Sleep(c.slow())
	}
	if c.fail != nil {
		return 0, c.fail
	}
	c.held += len(p)
	return c.all.Write(p)
}

func (c *recorder) Flush() error {
	c.pieces = append(c.pieces, c.held)
	c.held = 0
	return nil
}

// streaming is a Stream under test, from a pipe to a recorder.
type streaming struct {
	Stream
	relay  *relay
	target *io.PipeWriter
	client *recorder
	ended  chan error // what Ended was told
	stops  atomic.Int32
	result chan error
}

func newStreaming(t *testing.T) *streaming {
	body, target := io.Pipe()
	s := &streaming{target: target, client: &recorder{}, ended: make(chan error, 1), result: make(chan error, 1)}
	s.Stream = Stream{
		Body: body, Client: s.client, Limits: limits(t),
		Ended: func(err error) { s.ended <- err },
		Stop: func(cause error) {
			s.stops.Add(1)
			body.CloseWithError(cause)
		},
	}
	return s
}

// begin does what Relay does, in a goroutine, and keeps the relay.
func (s *streaming) begin() {
	s.relay = relays.Get().(*relay)
	s.relay.begin(s.Stream)
	go func() {
		defer s.relay.end()
		s.result <- s.relay.run()
	}()
}

// kept returns how much the client is behind, and how much of that is in memory.
func (s *streaming) kept() (all, inMemory int64) {
	s.relay.mu.Lock()
	defer s.relay.mu.Unlock()
	return s.relay.backlog.len(), s.relay.backlog.memory.size
}

func TestStreamPassesPartsOnAsTheyCome(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStreaming(t)
		s.begin()
		synctest.Wait()
		if len(s.client.pieces) != 1 || s.client.all.Len() != 0 {
			t.Errorf("before the first part: %v", s.client.pieces)
		}
		for i, part := range []string{"one", "three", "x"} {
			io.WriteString(s.target, part)
			synctest.Wait()
			if got := s.client.pieces[1:]; len(got) != i+1 || got[i] != len(part) {
				t.Errorf("after %q: %v", part, got)
			}
			time.Sleep(time.Hour) // it may wait as long as it likes
		}
		s.target.Close()
		if err := <-s.result; err != nil || s.client.all.String() != "onethreex" {
			t.Errorf("got %q, %v", &s.client.all, err)
		}
		if err := <-s.ended; err != nil {
			t.Errorf("Ended was told %v", err)
		}
	})
}

func TestStreamKeepsEverySize(t *testing.T) {
	for _, size := range sizes {
		want := body(size)
		for name, src := range map[string]io.Reader{
			"whole":         bytes.NewReader(want),
			"data with EOF": iotest.DataErrReader(bytes.NewReader(want)),
		} {
			client := &recorder{}
			if err := (Stream{Body: src, Client: client, Limits: limits(t)}).Relay(); err != nil {
				t.Errorf("%d bytes, %s: %v", size, name, err)
			}
			mustEqual(t, name, client.all.Bytes(), want)
		}
	}
}

func TestClientThatLeavesStopsTheTarget(t *testing.T) {
	gone := errors.New("broken pipe")
	for name, slow := range map[string]bool{"at once": false, "while the target writes": true} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := newStreaming(t)
				if slow {
					s.client.gate = make(chan struct{})
				}
				s.client.fail = gone
				s.begin()
				io.WriteString(s.target, "part")
				if slow {
					io.WriteString(s.target, "more")
					s.client.gate <- struct{}{}
				}
				var client *ClientError
				if err := <-s.result; !errors.As(err, &client) || !errors.Is(err, gone) {
					t.Errorf("error is %v", err)
				}
				if s.stops.Load() == 1 != slow {
					t.Errorf("stopped %d times", s.stops.Load())
				}
				s.Stop(gone) // what the caller does, however it ended
				if _, err := s.target.Write([]byte("x")); err == nil {
					t.Error("the target still writes")
				}
			})
		})
	}
}

func TestTargetThatBreaksOffIsToldOf(t *testing.T) {
	broken := errors.New("reset by the target")
	for name, slow := range map[string]bool{"client keeps up": false, "client is slow": true} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := newStreaming(t)
				if slow {
					s.client.gate = make(chan struct{})
				}
				s.begin()
				io.WriteString(s.target, "one ")
				if slow {
					io.WriteString(s.target, "two ")
				}
				s.target.CloseWithError(broken)
				if err := <-s.ended; err != broken {
					t.Errorf("Ended was told %v", err)
				}
				if slow {
					close(s.client.gate)
				}
				if err := <-s.result; err != broken {
					t.Errorf("error is %v", err)
				}
				if got := s.client.all.String(); got != map[bool]string{false: "one ", true: "one two "}[slow] || s.client.held > 0 {
					t.Errorf("the client got %q, %d bytes of it not flushed", got, s.client.held)
				}
			})
		})
	}
}

func TestDataThatComesWithAFailureIsSent(t *testing.T) {
	client := &recorder{}
	src := iotest.DataErrReader(io.MultiReader(strings.NewReader("part"), iotest.ErrReader(io.ErrUnexpectedEOF)))
	err := Stream{Body: src, Client: client, Limits: limits(t)}.Relay()
	if err != io.ErrUnexpectedEOF || client.all.String() != "part" || client.held != 0 {
		t.Errorf("got %q, %v", &client.all, err)
	}
}

// readyParts gives one part a Read, and says whether another one is there.
type readyParts struct {
	parts []string
	ready []bool // before each Read
}

func (r *readyParts) Ready() bool { return len(r.ready) > 0 && r.ready[0] }

func (r *readyParts) Read(p []byte) (int, error) {
	r.ready = r.ready[1:]
	if len(r.parts) == 0 {
		return 0, io.EOF
	}
	n := copy(p, r.parts[0])
	r.parts = r.parts[1:]
	return n, nil
}

func TestPartsThatAreThereGoOutTogether(t *testing.T) {
	client := &recorder{}
	src := &readyParts{parts: []string{"a", "bc", "def", "g"}, ready: []bool{true, true, false, true, true}}
	if err := (Stream{Body: src, Client: client, Limits: limits(t)}).Relay(); err != nil {
		t.Fatal(err)
	}
	if len(client.pieces) != 1 || client.pieces[0] != 3 || client.held != 4 {
		t.Errorf("flushed %v, held back %d", client.pieces, client.held)
	}
}

// A body that comes in one read costs nothing; any other a timer.
func TestShortStreamsDoNotAllocate(t *testing.T) {
	if raceEnabled {
		t.Skip("pools forget on purpose with the race detector")
	}
	for size, most := range map[int]float64{1000: 0, 1 << 20: 1} {
		src := &rewinding{all: body(size)}
		l := limits(t)
		allocations := testing.AllocsPerRun(100, func() {
			src.at = 0
			Stream{Body: src, Client: discard{}, Limits: l}.Relay()
		})
		if allocations > most {
			t.Errorf("%d bytes: %v allocations", size, allocations)
		}
	}
}

// rewinding gives its end together with its last bytes, as messages do.
type rewinding struct {
	all []byte
	at  int
}

func (r *rewinding) Read(p []byte) (int, error) {
	n := copy(p, r.all[r.at:])
	if r.at += n; r.at == len(r.all) {
		return n, io.EOF
	}
	return n, nil
}

type discard struct{}

func (discard) Write(p []byte) (int, error) { return len(p), nil }
func (discard) Flush() error                { return nil }
