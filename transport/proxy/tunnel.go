package proxy

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/rs/zerolog"

	"kamal-proxy/transport/crash"
	"kamal-proxy/transport/exchange"
)

// upgrade hands the connections of both sides over to a tunnel, and returns
// when that has ended.
func (v *visit) upgrade(response *exchange.Response) {
	if v.request.Upgrade == "" || response.Tunnel == nil {
		v.fail(errUninvited)
		return
	}
	protocol := response.Header.Get("Upgrade")
	if protocol == "" {
		protocol = v.request.Upgrade
	}
	header := endToEnd(response.Header, false)
	v.keepToWriter(&header)
	v.keepToTarget(&header)
	v.scopeCookies(header)
	v.noteSent(header)
	v.keepNotes()
	header.Add("Connection", "Upgrade")
	header.Add("Upgrade", protocol)
	webSocket := strings.EqualFold(protocol, "websocket")

	client, err := v.x.Upgrade(header)
	if err != nil {
		v.fail(fmt.Errorf("unable to pass on the target's change of protocol: %w", err))
		return
	}
	v.tunnel = true
	t := newTunnel(client, response.Tunnel, webSocket, v.proxy.config.Logger)
	v.proxy.upgraded(v.verdict.Lease)
	t.run(v.cutoff)
}

// tunnel is an upgraded connection: two lanes between its two ends.
type tunnel struct {
	client, target exchange.Tunnel
	up, down       lane // to the target, to the client
	webSocket      bool
	log            zerolog.Logger
}

func newTunnel(client, target exchange.Tunnel, webSocket bool, log zerolog.Logger) *tunnel {
	t := &tunnel{
		client: client, target: target, webSocket: webSocket, log: log,
		up:   lane{from: client, to: target},
		down: lane{from: target, to: client},
	}
	if webSocket {
		t.up.goingAway, t.down.goingAway = clientGoingAway, serverGoingAway
	}
	return t
}

// run carries bytes both ways until both have ended, one has failed, or ctx
// ends and the ends have been told so. It closes both.
func (t *tunnel) run(ctx context.Context) {
	defer t.close()
	stop := context.AfterFunc(ctx, t.cut)
	defer stop()

	ended := make(chan struct{})
	go func() {
		defer close(ended)
		t.carry(&t.down)
	}()
	t.carry(&t.up)
	<-ended
}

// carry runs one lane. One that fails takes the other one with it.
func (t *tunnel) carry(l *lane) {
	defer t.rescue()
	if l.carry() != nil {
		t.close()
	}
}

// rescue is deferred on each of the tunnel's goroutines.
func (t *tunnel) rescue() {
	if cause := recover(); cause != nil {
		crash.Caught(t.log, cause).Msg("Tunnel panicked")
		t.close()
	}
}

// cut ends the tunnel before its ends do. A WebSocket's are told, each between
// two frames, and get a moment to answer; any other protocol has no words for
// it that we know.
func (t *tunnel) cut() {
	if !t.webSocket {
		t.close()
		return
	}
	deadline := time.Now().Add(linger)
	t.client.SetDeadline(deadline)
	t.target.SetDeadline(deadline)
	t.up.leaving.Store(true)
	t.down.leaving.Store(true)
	go t.leave(&t.up) // a lane that writes is waited for
	t.leave(&t.down)
}

func (t *tunnel) leave(l *lane) {
	defer t.rescue()
	if l.leave() != nil {
		t.close()
	}
}

func (t *tunnel) close() {
	t.client.Close()
	t.target.Close()
}
