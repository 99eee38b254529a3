package model_test

import (
	"strings"
	"sync"

	"github.com/rs/zerolog"
)

// traps are the functions that others give to the actors, and that may panic.
var traps = []string{"connect", "checker", "check", "close", "notify", "cut", "put", "take", "forgotten", "log", "log", "log", "log"}

// snares make a function panic, once.
type snares struct {
	mu     sync.Mutex
	armed  map[string]int // calls that still go well
	sprung int
}

func (s *snares) set(name string, after int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.armed[name] = after
}

func (s *snares) clear() {
	s.mu.Lock()
	defer s.mu.Unlock()
	clear(s.armed)
}

func (s *snares) count() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.sprung
}

// step panics if the function is to.
func (s *snares) step(name string) {
	s.mu.Lock()
	left, armed := s.armed[name]
	if armed && left > 0 {
		s.armed[name]--
	}
	spring := armed && left == 0
	if spring {
		delete(s.armed, name)
		s.sprung++
	}
	s.mu.Unlock()
	if spring {
		panic("the trap " + name)
	}
}

// Run implements zerolog.Hook: a line of the log stands for any line of an
// actor's, between two of which it may panic.
func (s *snares) Run(_ *zerolog.Event, _ zerolog.Level, message string) {
	if !strings.HasPrefix(message, "Actor ") {
		s.step("log")
	}
}
