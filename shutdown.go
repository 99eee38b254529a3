package main

import (
	"context"
	"fmt"
	"os"
	"sync"
	"time"

	"kamal-proxy/actors/registry"
	"kamal-proxy/actors/system"
)

const (
	// cutGrace is how long what is told to end, when the time after an upgrade
	// is up, has before it is cut off.
	cutGrace = time.Second
	// partingGrace is how much longer than for its own requests this process
	// waits for the one that it took over from, and told to end.
	partingGrace = 500 * time.Millisecond
	// pageGrace is how long what was cut off has until its connection is closed:
	// for an answer that says so, where none had begun.
	pageGrace = 300 * time.Millisecond
)

// shutdown ends in the order that loses the least: what waits is answered,
// what runs may finish, then the actors end, and with them the last save.
func (d *daemon) shutdown() {
	d.log.Info().Msg("Server stopping")
	d.tell(d.manager.Stopping("Ending what is under way"))
	ctx, cancel := context.WithCancel(d.signals.now)
	defer cancel()
	drained := make(chan struct{})
	go d.sever(drained, d.options.ShutdownTimeout, cancel)
	d.registry.Tell(registry.Quiesce{})
	var parting sync.WaitGroup
	if d.predecessor != nil {
		d.predecessor.End()
		parting.Go(func() { d.part(ctx) })
	}
	d.drain(ctx)
	parting.Wait()
	close(drained)
	d.endActors()
}

// sever cuts off what has not drained when the grace is over: the requests, so
// that their clients get an answer, and then the connections.
func (d *daemon) sever(drained <-chan struct{}, grace time.Duration, cut context.CancelFunc) {
	defer cut()
	select {
	case <-drained:
		return
	case <-d.signals.now.Done():
		return
	case <-time.After(grace):
	}
	d.registry.Tell(registry.Sever{})
	select {
	case <-drained:
	case <-d.signals.now.Done():
	case <-time.After(pageGrace):
	}
}

// part waits until the process that this one took over from has ended.
func (d *daemon) part(ctx context.Context) {
	select {
	case <-d.predecessor.Gone():
		return
	case <-ctx.Done():
	}
	select {
	case <-d.predecessor.Gone():
	case <-time.After(partingGrace):
	}
}

// retire ends this process when another serves in its place: what it has begun
// it finishes, and stays until the one that it took over from has done so, too.
func (d *daemon) retire() {
	d.log.Info().Int("pid", os.Getpid()).Dur("timeout", d.succession.limit).Msg("Another process serves, this one finishes what it has begun")
	for _, server := range d.web {
		server.Retire()
	}
	if d.http3 != nil {
		d.http3.Retire()
	}
	ctx, cut := context.WithCancel(context.Background())
	drained := make(chan struct{})
	go d.hurry(drained, cut)
	d.drain(ctx)
	if d.predecessor != nil {
		select {
		case <-d.predecessor.Gone():
		case <-ctx.Done():
		}
	}
	close(drained)
	cut()
	d.endActors()
}

// hurry cuts off what has not drained when the time is up, or the successor or
// a signal says that the end is near. Where the successor is lost, nobody serves
// until all of its processes have ended and somebody starts another one, such as
// systemd, which does not see the end of what is not its child; only a holder
// does at once.
func (d *daemon) hurry(drained <-chan struct{}, cut func()) {
	grace := d.options.ShutdownTimeout
	limit := time.NewTimer(d.succession.limit)
	defer limit.Stop()
	select {
	case <-drained:
		return
	case <-limit.C:
		d.log.Warn().Dur("timeout", d.succession.limit).Msg("The time after the upgrade is up, what is left ends now")
		grace = cutGrace
	case <-d.lost():
		d.log.Error().Dur("timeout", grace).
			Msg("The process that took over is gone: what is left here ends soon, so that the proxy can be started again")
	case <-d.succession.hurried:
	case <-d.signals.end.Done():
	}
	d.registry.Tell(registry.Quiesce{})
	if d.predecessor != nil {
		d.predecessor.End()
	}
	d.sever(drained, grace, cut)
}

// lost is closed when the successor is gone and nobody starts another one.
func (d *daemon) lost() <-chan struct{} {
	if d.held {
		return nil
	}
	return d.succession.lost
}

// drain waits until all requests have ended; those that have not when ctx ends
// are cut off.
func (d *daemon) drain(ctx context.Context) {
	var draining sync.WaitGroup
	drain := func(shutdown func(context.Context) error) {
		draining.Go(func() {
			if err := shutdown(ctx); err != nil {
				d.log.Warn().Err(err).Msg("Connections were cut off, because the time to shut down was up")
			}
		})
	}
	for _, server := range d.web {
		drain(server.Shutdown)
	}
	if d.http3 != nil {
		drain(d.http3.Shutdown)
	}
	draining.Wait()
}

func (d *daemon) endActors() {
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	end := registry.Shutdown{Reply: system.NewReply[struct{}]()}
	d.registry.Tell(end)
	if _, err := end.Wait(ctx, d.registry.Stopped()); err != nil {
		d.log.Warn().Err(fmt.Errorf("the actors did not end: %w", err)).Msg("Server stops all the same")
	}
	d.registry.Stop()
	if err := d.control.Shutdown(ctx); err != nil {
		d.log.Warn().Err(err).Msg("A command was still under way")
	}
}
