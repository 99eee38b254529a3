package main

import (
	"net"

	"kamal-proxy/cli"
	"kamal-proxy/transport/control"
	"kamal-proxy/transport/ingress"
	"kamal-proxy/transport/sockets"
)

// listen takes the socket and the ports: those that the process was given, and
// new ones for the rest. Connections that arrive early wait in the kernel's queue.
func (d *daemon) listen() error {
	o := d.options
	given, err := sockets.Inherit(sockets.Ports{HTTP: o.HTTPPort, HTTPS: o.HTTPSPort, Metrics: o.MetricsPort})
	if err != nil {
		return err
	}
	defer func() {
		if left := given.Close(); err == nil && len(left) > 0 {
			d.log.Warn().Strs("sockets", left).Msg("Sockets were given that nothing serves")
		}
	}()
	err = d.listenOn(given, o)
	return err
}

func (d *daemon) listenOn(given *sockets.Set, o cli.RunOptions) (err error) {
	if d.socket, err = listenControl(given, o.Socket); err != nil {
		return err
	}
	if d.plain, err = listenTCP(given, sockets.HTTP, o.HTTPPort, "--http-port"); err != nil {
		return err
	}
	if d.secure, err = listenTCP(given, sockets.HTTPS, o.HTTPSPort, "--https-port"); err != nil {
		return err
	}
	if o.HTTP3 {
		if d.quic, err = given.UDP(sockets.HTTP3); d.quic == nil && err == nil {
			d.quic, err = ingress.ListenUDP(port(d.secure))
		}
		if err != nil {
			return err
		}
	}
	if o.MetricsPort != 0 {
		d.scraped, err = listenTCP(given, sockets.Metrics, o.MetricsPort, "--metrics-port")
	}
	return err
}

func listenTCP(given *sockets.Set, name string, port int, flag string) (net.Listener, error) {
	if l, err := given.TCP(name); l != nil || err != nil {
		return l, err
	}
	return ingress.ListenTCP(port, flag)
}

// listenControl returns the socket that orders come in at. Of one that was
// given, the file is removed in the end only if whoever gave it wants that.
func listenControl(given *sockets.Set, path string) (net.Listener, error) {
	l, err := given.Unix(sockets.Control)
	switch file := given.ControlFile(); {
	case err != nil:
		return nil, err
	case l == nil:
		socket, err := control.Listen(path)
		if err != nil {
			return nil, err
		}
		return socket, nil
	case file != "":
		return control.Adopt(l, file), nil
	}
	return l, nil
}

// open is what a successor is given. The file of the control socket goes with
// it if it is ours to remove.
func (d *daemon) open() sockets.Open {
	o := sockets.Open{HTTP: d.plain, HTTPS: d.secure, HTTP3: d.quic, Metrics: d.scraped, Control: d.socket}
	if own, ok := d.socket.(*control.Socket); ok {
		o.ControlFile = own.Path()
	}
	return o
}

// toWorkers is what the workers of a holder are given: it keeps the file.
func (d *daemon) toWorkers() sockets.Open {
	o := d.open()
	if own, ok := d.socket.(*control.Socket); ok {
		o.Control, o.ControlFile = own.UnixListener, ""
	}
	return o
}

func (d *daemon) closeListeners() {
	if d.socket != nil {
		d.socket.Close()
	}
	d.closePorts()
}

func (d *daemon) closePorts() {
	for _, l := range []net.Listener{d.plain, d.secure, d.scraped} {
		if l != nil {
			l.Close()
		}
	}
	if d.quic != nil {
		d.quic.Close()
	}
}

func port(l net.Listener) int {
	if l == nil {
		return 0
	}
	return l.Addr().(*net.TCPAddr).Port
}
