package notify

import (
	"context"
	"time"
)

// Watch says that the program is alive, twice in each period that the manager
// gives, as long as answers returns nil within half a period. It returns when
// ctx ends, or at once if nobody wants to know. complain gets each reason for
// which nothing was said.
func (n *Notifier) Watch(ctx context.Context, answers func(context.Context) error, complain func(error)) {
	if n.watch == 0 || n.path == "" {
		return
	}
	ticks := time.NewTicker(n.watch / 2)
	defer ticks.Stop()
	for {
		if err := n.alive(ctx, answers); err != nil && ctx.Err() == nil {
			complain(err)
		}
		select {
		case <-ctx.Done():
			return
		case <-ticks.C:
		}
	}
}

func (n *Notifier) alive(ctx context.Context, answers func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(ctx, n.watch/2)
	defer cancel()
	if err := answers(ctx); err != nil {
		return err
	}
	return n.tell("WATCHDOG=1")
}
