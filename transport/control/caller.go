package control

import (
	"encoding/json"
	"net/http"
	"sync"
	"time"

	"kamal-proxy/actors/service"
	"kamal-proxy/actors/system"
)

// caller is who waits for an order. It keeps the order's progress until the
// connection takes it, so that the order never waits for its caller, and drops
// it once the caller has left.
type caller struct {
	reply *system.Reply[struct{}]
	more  chan struct{} // capacity 1: there are new steps

	mu    sync.Mutex // guards what follows
	steps []service.Progress
	left  bool
}

func newCaller() *caller {
	return &caller{reply: system.NewReply[struct{}](), more: make(chan struct{}, 1)}
}

func (c *caller) asker() *service.Asker {
	return &service.Asker{Reply: c.reply, Notify: c.notify}
}

// notify is called by the order's actor.
func (c *caller) notify(p service.Progress) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.left {
		return
	}
	c.steps = append(c.steps, p)
	select {
	case c.more <- struct{}{}:
	default:
	}
}

func (c *caller) take() []service.Progress {
	c.mu.Lock()
	defer c.mu.Unlock()
	steps := c.steps
	c.steps = nil
	return steps
}

func (c *caller) leave() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.steps, c.left = nil, true
}

// follow writes the order's progress and its end, until the caller leaves.
func (c *caller) follow(w http.ResponseWriter, r *http.Request, stopped <-chan struct{}) {
	defer c.leave()
	out := newLines(w)
	answered := make(chan error, 1)
	go func() {
		_, err := c.reply.Wait(r.Context(), stopped)
		answered <- err
	}()
	for {
		select {
		case <-c.more:
			if out.progress(c.take()) != nil {
				return
			}
		case err := <-answered:
			// What was told before the answer is there by now.
			if out.progress(c.take()) == nil {
				out.end(err)
			}
			return
		}
	}
}

// lines writes JSON lines that reach the caller at once.
type lines struct {
	conn *http.ResponseController
	json *json.Encoder
}

// newLines begins the answer, so that the caller knows its order accepted.
func newLines(w http.ResponseWriter) lines {
	w.Header().Set("Content-Type", "application/x-ndjson")
	w.WriteHeader(http.StatusOK)
	l := lines{http.NewResponseController(w), json.NewEncoder(w)}
	l.conn.Flush()
	return l
}

func (l lines) progress(steps []service.Progress) error {
	for i := range steps {
		if err := l.write(line{Progress: &steps[i]}); err != nil {
			return err
		}
	}
	return nil
}

func (l lines) end(err error) {
	if err != nil {
		l.write(failure(err))
		return
	}
	l.write(line{Done: true})
}

func (l lines) write(one line) error {
	l.conn.SetWriteDeadline(time.Now().Add(writeTimeout))
	if err := l.json.Encode(one); err != nil {
		return err
	}
	return l.conn.Flush()
}
