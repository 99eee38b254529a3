package main

import (
	"io"
	"os"
	"os/signal"
	"syscall"
	"time"

	"kamal-proxy/cli"
	"kamal-proxy/transport/accesslog"
	"kamal-proxy/transport/holder"
	"kamal-proxy/transport/notify"
)

// graceForWorkers is what a worker may take beyond the time for its requests.
const graceForWorkers = 3 * time.Second

// hold is serve for process number 1: it holds the ports, and a worker serves
// them. It returns the code to exit with.
func hold(o cli.RunOptions, stdout io.Writer) (code int, err error) {
	signal.Ignore(syscall.SIGPIPE) // as in watchSignals
	lines := accesslog.NewWriter(stdout)
	defer lines.Close()
	d := &daemon{options: o, log: accesslog.Setup(lines, o.Debug)}
	if err := d.listen(); err != nil {
		d.closeListeners()
		return 1, err
	}
	defer d.closeListeners()
	return holder.Run(holder.Config{
		Program: program(),
		Args:    os.Args,
		Sockets: holder.Sockets{Open: d.toWorkers(), ClosePorts: d.closePorts},
		Grace:   o.ShutdownTimeout + graceForWorkers,
		Manager: notify.New(),
		Log:     d.log,
	})
}
