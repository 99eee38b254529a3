package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"
)

// signals is what the daemon is told from outside.
type signals struct {
	end     context.Context // ends with SIGTERM, SIGINT or SIGHUP: end in good order
	now     context.Context // ends with a second one, but for SIGHUP: cut off what is left
	upgrade chan struct{}   // SIGUSR2
	stop    func()
}

// watchSignals listens until stop. The end of ctx is like SIGTERM.
func watchSignals(ctx context.Context) *signals {
	signal.Ignore(syscall.SIGPIPE) // of stdout: whoever reads the log may end before the requests do
	s := &signals{upgrade: make(chan struct{}, 1)}
	var end, now context.CancelFunc
	s.end, end = context.WithCancel(ctx)
	s.now, now = context.WithCancel(context.Background())
	told, stopped := make(chan os.Signal, 4), make(chan struct{})
	signal.Notify(told, syscall.SIGINT, syscall.SIGTERM, syscall.SIGUSR2)
	if !signal.Ignored(syscall.SIGHUP) { // nohup
		signal.Notify(told, syscall.SIGHUP)
	}
	s.stop = func() {
		signal.Stop(told)
		close(stopped)
		end()
		now()
	}
	go func() {
		for {
			select {
			case sig := <-told:
				s.take(sig, end, now)
			case <-stopped:
				return
			}
		}
	}()
	return s
}

func (s *signals) take(sig os.Signal, end, now func()) {
	switch {
	case sig == syscall.SIGUSR2:
		select {
		case s.upgrade <- struct{}{}:
		default:
		}
	case s.end.Err() == nil:
		end()
	case sig == syscall.SIGHUP: // of a terminal that closes, its shell and the kernel send one each
	default:
		now()
	}
}
