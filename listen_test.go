package main

import (
	"path/filepath"
	"testing"

	"kamal-proxy/transport/control"
)

// The file of the control socket goes to a successor, and stays with a holder:
// a worker that ends must not take it away from the next one.
func TestWhoRemovesTheControlSocket(t *testing.T) {
	path := filepath.Join(t.TempDir(), "s")
	own, err := control.Listen(path)
	if err != nil {
		t.Fatal(err)
	}
	d := &daemon{socket: own}
	defer d.closeListeners()
	if o := d.open(); o.Control != own || o.ControlFile != path {
		t.Errorf("a successor gets %T and the file %q, want the socket and its file", o.Control, o.ControlFile)
	}
	if o := d.toWorkers(); o.Control != own.UnixListener || o.ControlFile != "" {
		t.Errorf("a worker gets %T and the file %q, want a plain listener and no file", o.Control, o.ControlFile)
	}
}
