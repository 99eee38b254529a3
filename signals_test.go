package main

import (
	"context"
	"syscall"
	"testing"
)

// A terminal that closes sends SIGHUP more than once, which is no hurry.
func TestOnlyASecondOrderToEndIsAHurry(t *testing.T) {
	for _, c := range []struct {
		signals    []syscall.Signal
		ended, now bool
	}{
		{[]syscall.Signal{syscall.SIGUSR2}, false, false},
		{[]syscall.Signal{syscall.SIGHUP}, true, false},
		{[]syscall.Signal{syscall.SIGHUP, syscall.SIGHUP}, true, false},
		{[]syscall.Signal{syscall.SIGTERM, syscall.SIGHUP}, true, false},
		{[]syscall.Signal{syscall.SIGHUP, syscall.SIGTERM}, true, true},
		{[]syscall.Signal{syscall.SIGTERM, syscall.SIGTERM}, true, true},
	} {
		s := &signals{upgrade: make(chan struct{}, 1)}
		var end, now context.CancelFunc
		s.end, end = context.WithCancel(t.Context())
		defer end()
		s.now, now = context.WithCancel(t.Context())
		defer now()
		for _, sig := range c.signals {
			s.take(sig, end, now)
		}
		if ended, hurry := s.end.Err() != nil, s.now.Err() != nil; ended != c.ended || hurry != c.now {
			t.Errorf("%v: ends %t, at once %t; want %t, %t", c.signals, ended, hurry, c.ended, c.now)
		}
	}
}
