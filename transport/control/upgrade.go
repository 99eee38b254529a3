package control

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"path/filepath"
	"time"

	"kamal-proxy/actors/registry"
)

// Upgrade asks the daemon to put a new process in its place.
type Upgrade struct {
	Binary string `json:"binary"` // an absolute path; empty: the daemon's own
	// Timeout is how long what the old process has begun may take; nil: as long
	// as its `run --upgrade-timeout` says.
	Timeout *time.Duration `json:"timeout,omitempty"`
}

// Validate says what is wrong.
func (u Upgrade) Validate() error {
	if u.Binary != "" && !filepath.IsAbs(u.Binary) {
		return fmt.Errorf("binary is %q: it must be an absolute path", u.Binary)
	}
	if u.Timeout != nil && *u.Timeout < 0 {
		return fmt.Errorf("upgrade-timeout is %v: it must be 0 or longer", *u.Timeout)
	}
	return nil
}

// The stages of an upgrade's Step.
const (
	Concluding = "concluding" // orders under way end first
	Starting   = "starting"   // the new process; Detail is its binary
	Serving    = "serving"    // the new process serves; Detail is a sentence about it
)

// Upgrader puts a new process in this one's place, and returns when that
// serves. With an error nothing has changed.
type Upgrader func(order Upgrade, told Progress) error

var errNoUpgrade = errors.New("this kamal-proxy cannot be upgraded while it runs")

// upgrade is an order that no actor carries out. It goes on when its caller
// leaves.
func (s *Server) upgrade(w http.ResponseWriter, r *http.Request) {
	var args Upgrade
	if status, err := read(w, r, &args); err != nil {
		refuse(w, status, err)
		return
	}
	err := args.Validate()
	if err == nil && s.config.Upgrade == nil {
		err = errNoUpgrade
	}
	if err != nil {
		refuse(w, http.StatusBadRequest, err)
		return
	}
	caller, since := newCaller(), time.Now()
	go func() {
		err := s.config.Upgrade(args, func(step Step) {
			step.Elapsed = time.Since(since)
			caller.notify(step)
		})
		caller.reply.Answer(struct{}{}, err)
	}()
	caller.follow(w, r, nil)
}

// Leave leaves the socket to another process that has it, too, and serves there
// from now on: what still comes here is sent there. Orders under way are
// answered.
func (s *Server) Leave() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.left.Store(true)
	s.leave()
}

// listen keeps the listener for Leave, unless that was called already.
func (s *Server) listen(l net.Listener) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.listener = l
	if s.left.Load() {
		s.leave()
	}
}

func (s *Server) leave() {
	if own, ok := s.listener.(interface{ SetUnlinkOnClose(bool) }); ok {
		own.SetUnlinkOnClose(false)
	}
	if s.listener != nil {
		s.listener.Close()
	}
}

// moves is how often a client follows a daemon that has moved to another
// process meanwhile.
const moves = 20

// Upgrade waits until the new process serves.
func (c *Client) Upgrade(ctx context.Context, u Upgrade, told Progress) error {
	return c.order(ctx, upgradePath, u, told)
}

// errMoved is what a line says that was answered by a process whose place
// another has taken: the order was not accepted, and is to be given again.
var errMoved = registry.ErrMoved
