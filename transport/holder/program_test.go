//go:build linux

package holder

import (
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"kamal-proxy/transport/notify"
)

// A new program that cannot start from nothing does not stay in the way.
func TestAProgramThatDoesNotStartIsLeft(t *testing.T) {
	broken := filepath.Join(t.TempDir(), "broken")
	for name, text := range map[string]string{"ends": "#!/bin/sh\nexit 3\n", "is none": "\x7fELF"} {
		t.Run(name, func(t *testing.T) {
			if err := os.WriteFile(broken, []byte(text), 0o700); err != nil {
				t.Fatal(err)
			}
			t.Setenv("STEPS", "mark+ready+exit:0")
			t.Setenv("STARTS", filepath.Join(t.TempDir(), "starts"))
			t.Setenv("MARK", filepath.Join(t.TempDir(), "mark"))
			log := &logged{}
			h := &holder{
				Config: Config{Program: broken, Args: os.Args[:1], Manager: notify.New(), Log: zerolog.New(log), Sockets: Sockets{ClosePorts: func() {}}},
				once:   true, vanished: make(chan int, 16), elders: map[int]bool{}, heirs: map[int]bool{}, passed: map[syscall.Signal]bool{},
			}
			signals := make(chan os.Signal, 64)
			signal.Notify(signals, syscall.SIGCHLD)
			defer signal.Stop(signals)
			h.signals = signals
			notices, err := listenForNotices()
			if err != nil {
				t.Fatal(err)
			}
			defer notices.close()
			h.notices = notices
			defer time.AfterFunc(patience, func() { signals <- syscall.SIGTERM }).Stop()
			h.startLater()
			h.run()
			if _, err := os.Stat(os.Getenv("MARK")); err != nil || h.code != 0 || h.Program != own {
				t.Errorf("it ended with code %d, running %s; its log:\n%s", h.code, h.Program, log)
			}
		})
	}
}

// Where the kernel does not tell of the end of another's child.
func TestAnEndIsSeenByLooking(t *testing.T) {
	other := exec.Command("sleep", "1000")
	if err := other.Start(); err != nil {
		t.Fatal(err)
	}
	seen := make(chan struct{})
	go func() { look(other.Process.Pid); close(seen) }()
	select {
	case <-seen:
		t.Fatal("the end was seen before it was there")
	case <-time.After(2 * lookPause):
	}
	other.Process.Kill()
	other.Wait()
	select {
	case <-seen:
	case <-time.After(patience):
		t.Fatal("the end is not seen")
	}
}
