package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strconv"
	"time"

	"kamal-proxy/actors/registry"
	"kamal-proxy/actors/store"
	"kamal-proxy/actors/system"
	"kamal-proxy/transport/ingress"
)

// sayReady tells the service manager that the ports are served.
func (d *daemon) sayReady() {
	status := fmt.Sprintf("Serving HTTP on %d and HTTPS on %d", port(d.plain), port(d.secure))
	d.tell(d.manager.Ready(status))
}

// tell logs what could not be told to the service manager.
func (d *daemon) tell(err error) {
	if err != nil {
		d.log.Warn().Err(err).Msg("The service manager does not hear this process")
	}
}

// watch tells the service manager that the daemon is alive, until ctx ends.
// Once serving has ended it has nothing to show for that, but little time.
func (d *daemon) watch(ctx, serving context.Context) {
	d.manager.Watch(ctx, func(ctx context.Context) error {
		err := d.answers(ctx)
		if serving.Err() != nil {
			return nil
		}
		return err
	}, func(err error) {
		d.log.Error().Err(err).Msg("This process may be restarted by its watchdog, because it does not answer")
	})
}

// answers finds out whether the daemon works: its registry answers a question,
// and its port accepts connections. Where it has as many as it may, or as many
// files open, this one waits as clients do: that is a crowd, and no fault that a
// restart would mend.
func (d *daemon) answers(ctx context.Context) error {
	list := registry.List{Reply: system.NewReply[store.Snapshot]()}
	d.registry.Tell(list)
	if _, err := list.Wait(ctx, d.registry.Stopped()); err != nil {
		return fmt.Errorf("the registry does not answer: %w", err)
	}
	if err := accepts(ctx, d.plain); err != nil && !d.crowd.Full() && !ingress.NoDescriptor(err) {
		return fmt.Errorf("the HTTP port does not accept connections: %w", err)
	}
	return nil
}

// accepts makes a connection that asks for nothing, and waits for its end,
// which shows that it was accepted.
func accepts(ctx context.Context, l net.Listener) error {
	var dialer net.Dialer
	conn, err := dialer.DialContext(ctx, "tcp", loopback(l))
	if err != nil {
		return err
	}
	defer conn.Close()
	if deadline, limited := ctx.Deadline(); limited {
		conn.SetDeadline(deadline)
	}
	defer context.AfterFunc(ctx, func() { conn.SetDeadline(time.Unix(1, 0)) })()
	if err := conn.(*net.TCPConn).CloseWrite(); err != nil {
		return err
	}
	if _, err := conn.Read(make([]byte, 1)); err != nil && !errors.Is(err, io.EOF) {
		return err
	}
	return nil
}

// loopback is where this machine reaches a listener.
func loopback(l net.Listener) string {
	address := l.Addr().(*net.TCPAddr)
	if address.IP.IsUnspecified() {
		return net.JoinHostPort("127.0.0.1", strconv.Itoa(address.Port))
	}
	return address.String()
}
