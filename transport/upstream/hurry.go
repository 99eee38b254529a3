package upstream

import (
	"context"
	"fmt"
	"net"
	"time"
)

// lastLook is how much longer a connection has than its time. Where this process
// stood still, with its machine, it may have been made meanwhile.
const lastLook = 100 * time.Millisecond

// within has connect give up soon after a time.
func within(limit time.Duration, connect func(context.Context) (net.Conn, error)) func(context.Context) (net.Conn, error) {
	return func(ctx context.Context) (net.Conn, error) {
		ctx, cancel := context.WithCancelCause(ctx)
		defer cancel(nil)
		slow := fmt.Errorf("it took no connection within %v", limit)
		last := make(chan *time.Timer, 1)
		late := time.AfterFunc(limit, func() { last <- time.AfterFunc(lastLook, func() { cancel(slow) }) })
		nc, err := connect(ctx)
		if !late.Stop() {
			(<-last).Stop()
		}
		if err != nil && context.Cause(ctx) == slow {
			err = slow
		}
		return nc, err
	}
}
