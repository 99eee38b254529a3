// Package healthcheck is one target's checks. The call itself is injected;
// this actor decides when it is made and tells the service what came out.
//
//	idle --Begin--> checking --probed--> waiting --due--> checking …
//	any  --Halt---> (gone)
//
// Checks never overlap: the next is due an interval after the last began, or
// at once if it took longer. While a target is warming up, a refused connection
// is tried again every 50 ms: the try that gets through carries the check, so
// that a deploy goes on as soon as the app listens.
package healthcheck

import (
	"context"
	"fmt"
	"time"

	"kamal-proxy/actors/system"
)

// retryRefused is how long a warming target that refuses is left alone.
const retryRefused = 50 * time.Millisecond

// Ref is a health check's address.
type Ref = system.Ref[Message]

// Config is what a health check is made of.
type Config struct {
	ID       uint64 // told with each result
	Interval time.Duration
	Timeout  time.Duration
	Check    Check
	Tell     func(Checked) // to the service
}

type healthcheck struct {
	Config
	self       Ref
	generation int
	settled    bool
	halted     bool
	cancel     context.CancelFunc
	timer      *time.Timer
	began      time.Time
}

// Spawn starts a health check that waits for Begin.
func Spawn(s *system.System, config Config) Ref {
	return system.Spawn(s, "healthcheck", 16, func(self Ref) system.Receiver[Message] {
		return &healthcheck{Config: config, self: self, cancel: func() {}}
	})
}

// Receive implements system.Receiver.
func (h *healthcheck) Receive(m Message) {
	switch m := m.(type) {
	case Begin:
		h.begin()
	case Settle:
		h.settled = true
	case probed:
		h.report(m)
	case due:
		if m.generation == h.generation {
			h.check()
		}
	case Halt:
		h.halt()
	}
}

// Mend implements system.Mender: the checks go on.
func (h *healthcheck) Mend(Message) bool {
	if h.generation != 0 && !h.halted {
		h.timer = system.After(h.self, h.Interval, Message(due{h.generation}))
	}
	return false
}

func (h *healthcheck) begin() {
	if h.generation == 0 {
		h.check()
	}
}

func (h *healthcheck) check() {
	if h.halted {
		return
	}
	h.generation++
	h.began = time.Now()
	ctx, cancel := context.WithTimeout(context.Background(), h.Timeout)
	h.cancel = cancel
	go probe(ctx, cancel, h.Check, h.self, h.generation)
}

// probe runs one check; its only way out is one message back.
func probe(ctx context.Context, cancel context.CancelFunc, check Check, to Ref, generation int) {
	defer cancel()
	began := time.Now()
	var result Result
	to.Protect(func() {
		defer func() {
			if cause := recover(); cause != nil {
				result = Result{Kind: Failed, Detail: fmt.Sprintf("the check itself failed: %v", cause)}
				panic(cause)
			}
		}()
		result = check(ctx)
	})
	result.Took = time.Since(began)
	to.Tell(probed{generation, result})
}

func (h *healthcheck) report(m probed) {
	if h.halted || m.generation != h.generation {
		return
	}
	wait := max(0, h.Interval-time.Since(h.began))
	if m.result.Kind == Refused && !h.settled {
		wait = min(wait, retryRefused)
	}
	h.timer = system.After(h.self, wait, Message(due{h.generation}))
	h.Tell(Checked{ID: h.ID, Result: m.result})
}

func (h *healthcheck) halt() {
	if h.halted {
		return
	}
	h.halted = true
	h.cancel()
	if h.timer != nil {
		h.timer.Stop()
	}
	h.self.Stop()
}
