//go:build linux

package holder

import (
	"os"
	"syscall"
	"time"

	"github.com/rs/zerolog"

	"kamal-proxy/transport/notify"
)

// Config says what to hold.
type Config struct {
	Program string   // the worker's
	Args    []string // with the program's name
	Sockets Sockets
	Grace   time.Duration // from the signal to end until a worker is killed
	Manager *notify.Notifier
	Log     zerolog.Logger

	signals <-chan os.Signal // nil: the process's own
}

// holder is what one goroutine knows: the loop of run.
type holder struct {
	Config
	notices  *notices
	vanished chan int // processes that have ended, whoever their parent is

	worker   int          // its process; 0: none
	ready    time.Time    // since when the worker is; zero: not yet
	once     bool         // a worker has been ready
	elders   map[int]bool // former workers that may still run
	heirs    map[int]bool // processes that say that they are ready, and are no worker yet
	passed   map[syscall.Signal]bool
	vain     int // starts on end after which a worker was never ready
	ending   bool
	killed   bool
	delay    backOff
	restart  <-chan time.Time // nil: not waiting
	patience <-chan time.Time // nil: not ending

	over bool
	code int
}

// Run starts a worker and returns when there is none any more, with the code to
// exit with: the last worker's. err says why there never was one.
func Run(config Config) (code int, err error) {
	notices, err := listenForNotices()
	if err != nil {
		return 1, err
	}
	defer notices.close()
	h := &holder{
		Config: config, notices: notices, vanished: make(chan int, 16),
		elders: map[int]bool{}, heirs: map[int]bool{}, passed: map[syscall.Signal]bool{},
	}
	if h.signals == nil {
		signals, stop := catch()
		defer stop()
		h.signals = signals
	}
	if err := h.start(); err != nil {
		return 1, err
	}
	h.run()
	return h.code, nil
}

func (h *holder) run() {
	for !h.over {
		select {
		case s := <-h.signals:
			h.signalled(s.(syscall.Signal))
		case n := <-h.notices.arrived:
			h.noticed(n)
		case pid := <-h.vanished:
			h.looked(pid)
		case <-h.restart:
			h.restart = nil
			if err := h.start(); err != nil {
				h.Log.Error().Err(err).Msg("The worker does not start")
				h.inVain()
				h.startLater()
			}
		case <-h.patience:
			h.patience = nil
			h.kill()
		}
		h.reap()
	}
}

// signalled passes a signal on. One that asks for the end also closes the
// holder's ports, so that they are closed when the worker's are.
func (h *holder) signalled(s syscall.Signal) {
	switch s {
	case syscall.SIGCHLD:
		return
	case syscall.SIGTERM, syscall.SIGINT, syscall.SIGQUIT, syscall.SIGHUP:
		h.end(s)
		return
	}
	if h.worker == 0 || h.ready.IsZero() { // it would end one that is not there for it yet
		h.Log.Warn().Stringer("signal", s).Msg("A signal is not passed on, because the worker is not ready")
		return
	}
	h.passed[s] = true
	syscall.Kill(h.worker, s)
}

func (h *holder) end(s syscall.Signal) {
	if !h.ending {
		h.ending = true
		h.patience = time.After(h.Grace)
		h.Sockets.ClosePorts()
	}
	h.restart = nil
	for pid := range h.running() {
		syscall.Kill(pid, s)
	}
	h.finishIfAlone()
}

// noticed takes what a process of ours says.
func (h *holder) noticed(n notice) {
	if n.pid != h.worker {
		if n.ready && n.main == n.pid {
			h.heirs[n.pid] = true
		}
		return
	}
	if n.ready && h.ready.IsZero() {
		h.ready, h.once, h.vain = time.Now(), true, 0
	}
	if n.main > 1 && n.main != h.worker {
		h.succeed(n.main)
	}
	if err := h.Manager.Relay(n.relay); err != nil {
		h.Log.Warn().Err(err).Msg("The service manager does not hear this process")
	}
}

// succeed makes another process the worker.
func (h *holder) succeed(pid int) {
	h.Log.Info().Int("worker", pid).Int("before", h.worker).Msg("Worker replaced")
	if h.worker != 0 {
		h.elders[h.worker] = true
		h.delay.served(h.served())
	}
	h.worker, h.ready, h.restart, h.vain = pid, time.Now(), nil, 0
	delete(h.heirs, pid)
	if program := programOf(pid); program != "" {
		h.Program = program
	}
	go awaitEnd(pid, h.vanished)
	if h.ending {
		syscall.Kill(pid, syscall.SIGTERM)
	}
}

// ended takes the end of a process. What a worker said before is heard first:
// that it is none any more, perhaps.
func (h *holder) ended(pid int, how ending) {
	if pid == h.worker {
		h.notices.settle(h.noticed)
	}
	delete(h.elders, pid)
	delete(h.heirs, pid)
	if pid == h.worker {
		h.lost(how)
	}
	h.finishIfAlone()
}

// lost decides what follows the worker's end.
func (h *holder) lost(how ending) {
	h.delay.served(h.served())
	if h.ready.IsZero() {
		h.inVain()
	}
	h.worker, h.ready = 0, time.Time{}
	heir := h.heir()
	switch {
	case heir != 0:
		h.succeed(heir)
	case h.ending || how.wanted(h.passed):
		h.finish(how)
	case !h.once:
		h.Log.Error().Stringer("reason", how).Msg("The worker ended before it was ready")
		h.finish(how)
	default:
		h.startLater()
		h.Log.Error().Stringer("reason", how).Dur("delay", h.delay.last).Msg("The worker crashed and is started again")
	}
}

// served is how long the worker has been ready.
func (h *holder) served() time.Duration {
	if h.ready.IsZero() {
		return 0
	}
	return time.Since(h.ready)
}

// heir returns a process that was to take the place of the worker, and that
// the worker did not live to name; 0: none.
func (h *holder) heir() int {
	for pid := range h.heirs {
		if alive(pid) {
			return pid
		}
	}
	return 0
}

func (h *holder) finish(how ending) {
	h.code = how.code()
	h.end(syscall.SIGTERM) // for elders
}

func (h *holder) finishIfAlone() {
	h.over = h.ending && h.worker == 0 && len(h.elders) == 0
}

func (h *holder) startLater() { h.restart = time.After(h.delay.next()) }

// kill ends what did not end in time; the second time it gives up.
func (h *holder) kill() {
	if h.over = h.killed; h.over {
		return
	}
	h.killed, h.patience = true, time.After(h.Grace)
	h.code = 128 + int(syscall.SIGKILL)
	for pid := range h.running() {
		h.Log.Error().Int("worker", pid).Msg("A worker did not end in time and is killed")
		syscall.Kill(pid, syscall.SIGKILL)
	}
}

// running calls yield for the worker and its elders.
func (h *holder) running() func(yield func(int) bool) {
	return func(yield func(int) bool) {
		if h.worker != 0 && !yield(h.worker) {
			return
		}
		for pid := range h.elders {
			if !yield(pid) {
				return
			}
		}
	}
}
