package upstream

import (
	"context"
	"fmt"
	"net"
	"sync"
	"time"
)

// beats are what the time for a connection is counted in: one that falls into a
// time in which this process stood still, with its machine, counts once. The
// connection may have been made meanwhile.
const beats = 20

type connector func(context.Context) (net.Conn, error)

// within has connect give up after a time.
func within(limit time.Duration, connect connector) connector {
	return func(ctx context.Context) (net.Conn, error) {
		ctx, cancel := context.WithCancelCause(ctx)
		defer cancel(nil)
		slow := fmt.Errorf("it took no connection within %v", limit)
		defer afterBeats(ctx, limit/beats, func() { cancel(slow) }).Stop()
		nc, err := connect(ctx)
		if err != nil && context.Cause(ctx) == slow {
			err = slow
		}
		return nc, err
	}
}

// afterBeats calls f after all of them, unless ctx has ended.
func afterBeats(ctx context.Context, beat time.Duration, f func()) *time.Timer {
	var (
		mu    sync.Mutex
		timer *time.Timer
		left  = beats
	)
	mu.Lock()
	defer mu.Unlock()
	timer = time.AfterFunc(beat, func() {
		mu.Lock()
		defer mu.Unlock()
		switch left--; {
		case ctx.Err() != nil:
		case left > 0:
			timer.Reset(beat)
		default:
			f()
		}
	})
	return timer
}
