package main

import (
	"fmt"

	"kamal-proxy/actors/registry"
	"kamal-proxy/actors/service"
	"kamal-proxy/cli"
	"kamal-proxy/transport/control"
	"kamal-proxy/transport/handover"
	"kamal-proxy/transport/quicport"
)

// takeOver gets ready to serve in the predecessor's place, and returns when it
// is this process's. Until then nothing is this process's own.
func (d *daemon) takeOver() error {
	err := d.inherit()
	if err != nil {
		d.predecessor.Fail(err)
	} else {
		err = d.predecessor.Ready(d.signals.end, cli.Version)
	}
	if socket, ok := d.socket.(*control.Socket); ok && err != nil {
		socket.SetUnlinkOnClose(false)
	}
	return err
}

func (d *daemon) inherit() error {
	state, err := d.predecessor.State(d.signals.end)
	if err != nil {
		return err
	}
	alone := d.lines.Share()
	go func() {
		<-d.predecessor.Gone()
		alone()
	}()
	if err := d.listen(); err != nil {
		return err
	}
	if err := d.shareQUIC(state.QUIC); err != nil {
		return err
	}
	return d.startActors(state.Records)
}

// shareQUIC has the UDP port's packets that are the predecessor's go there.
func (d *daemon) shareQUIC(was *handover.QUIC) error {
	if d.quic == nil {
		return nil
	}
	file := d.predecessor.Line()
	if was == nil || file == nil || len(was.Key) != len(quicport.Key{}) {
		d.shared = quicport.New(d.quic, 0, quicport.NewKey(), nil)
		return nil
	}
	line, err := quicport.Line(file)
	if err != nil {
		return fmt.Errorf("the line for the predecessor's packets cannot be used: %w", err)
	}
	d.shared = quicport.New(d.quic, was.Generation+1, quicport.Key(was.Key), line)
	return nil
}

// former is what the registry knows of the predecessor; nil: there is none.
func (d *daemon) former() registry.Predecessor {
	if d.predecessor == nil {
		return nil
	}
	return former{d.predecessor}
}

// former speaks the registry's language to the predecessor.
type former struct{ *handover.Predecessor }

// Follow implements registry.Predecessor.
func (f former) Follow(m registry.Following, done func()) {
	f.Predecessor.Follow(handover.Following{
		Service: m.Service, What: changeNames[m.What], Record: m.Record, DrainTimeout: m.DrainTimeout,
	}, done)
}

// changeNames are how two processes call what an order has changed.
var changeNames = map[service.Change]string{
	service.Deployed:  "deploy",
	service.RolledOut: "rollout deploy",
	service.Divided:   "rollout",
	service.Paused:    "pause",
	service.Halted:    "stop",
	service.Resumed:   "resume",
	service.Removed:   "remove",
}

// changeNamed takes what it does not know, of a newer process, for a deploy: that
// goes by the whole record.
func changeNamed(name string) service.Change {
	for change, known := range changeNames {
		if known == name {
			return change
		}
	}
	return service.Deployed
}
