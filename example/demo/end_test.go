package main

import (
	"os"
	"os/exec"
	"slices"
	"syscall"
	"testing"
	"time"
)

const waits = "DEMO_TEST_WAITS"

// TestMain is also the program that the test starts and ends.
func TestMain(m *testing.M) {
	if os.Getenv(waits) != "" {
		<-time.After(time.Minute)
		return
	}
	os.Exit(m.Run())
}

// A proxy that was upgraded has another pid than the one that the demo started.
func TestProgramsThatTookOverAreEnded(t *testing.T) {
	if _, err := os.Stat("/proc/self/cmdline"); err != nil {
		t.Skip("there is no /proc")
	}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	start := func(group int) (int, chan struct{}) {
		cmd := exec.Command(self)
		cmd.Args[0] = "kamal-proxy"
		cmd.Env = append(os.Environ(), waits+"=1")
		cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pgid: group}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { cmd.Process.Kill() })
		ended := make(chan struct{})
		go func() { cmd.Wait(); close(ended) }()
		return cmd.Process.Pid, ended
	}
	leader, first := start(0)
	successor, second := start(leader)
	stranger, other := start(0)

	if got := group(leader); len(got) != 2 || !slices.Contains(got, successor) {
		t.Fatalf("the group of %d is %v, with %d in it", leader, got, successor)
	}
	syscall.Kill(leader, syscall.SIGKILL)
	<-first
	endAll([]int{leader})
	select {
	case <-second:
	case <-time.After(10 * time.Second):
		t.Error("the successor was left running")
	}
	select {
	case <-other:
		t.Errorf("%d, which is in no group of the demo's, was ended", stranger)
	default:
	}
}
