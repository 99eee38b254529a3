// Package store is the actor that owns the state file: what survives a
// restart. It keeps what upstream's proxy can load in one file, byte for byte
// in upstream's format, and the rest in another beside it; both are replaced
// as a whole or not at all.
//
// The actor is idle or writing:
//
//	idle --Save--> writing --written--> idle
//	                  |  ^
//	                  Save: waits, in the place of one that waits already
//
// The write itself happens in a goroutine of its own, of which there is never
// more than one, and which ends with one message back.
package store

import (
	"fmt"

	"github.com/rs/zerolog"

	"kamal-proxy/actors/system"
)

// Config is what a store needs.
type Config struct {
	Dir  string      // the data folder; it is made if there is none
	Disk Disk        // nil: the machine's
	Tell func(Saved) // is told the outcome of each write; must not wait
	Log  zerolog.Logger
}

// New makes a store's behaviour for system.Spawn. It writes only when it is
// told to, so Load must have been called before its first Save.
func New(config Config) func(system.Ref[Message]) system.Receiver[Message] {
	return func(self system.Ref[Message]) system.Receiver[Message] {
		return &store{self: self, tell: config.Tell, log: config.Log, writer: newWriter(config.Dir, config.Disk)}
	}
}

type store struct {
	self    system.Ref[Message]
	tell    func(Saved)
	log     zerolog.Logger
	writer  *writer // belongs to the goroutine that writes, while there is one
	writing bool
	waiting *Save
}

// Receive implements system.Receiver.
func (s *store) Receive(m Message) {
	switch m := m.(type) {
	case Save:
		s.save(m)
	case written:
		s.written(m)
	}
}

func (s *store) save(save Save) {
	if s.writing {
		s.waiting = &save
		return
	}
	s.writing = true
	go s.write(save)
}

func (s *store) written(w written) {
	s.writing = false
	if s.waiting != nil {
		next := *s.waiting
		s.waiting = nil
		s.save(next)
	}
	s.tell(Saved{Sequence: w.sequence, Err: w.err})
}

// write is the goroutine. A panic in it is an error of this Save.
func (s *store) write(save Save) {
	done := written{save.Sequence, fmt.Errorf("unable to save the state: %w", system.ErrCrashed)}
	s.self.Protect(func() {
		done.err = s.writer.write(save.Records)
	})
	s.self.Tell(done)
}
