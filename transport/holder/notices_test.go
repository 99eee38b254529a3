//go:build linux

package holder

import (
	"os"
	"runtime"
	"strconv"
	"syscall"
	"testing"
)

func TestStrangersAreNotHeard(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("NOT CHECKED, for want of root: another user")
	}
	n, err := listenForNotices()
	if err != nil {
		t.Fatal(err)
	}
	defer n.close()
	sent := make(chan error)
	go func() {
		runtime.LockOSThread() // and never unlocked: the thread, another user's, ends with this goroutine
		if _, _, errno := syscall.RawSyscall(syscall.SYS_SETRESUID, 65534, 65534, 65534); errno != 0 {
			sent <- errno
			return
		}
		sent <- say(n.name, "READY=1\nMAINPID="+strconv.Itoa(os.Getpid()))
	}()
	if err := <-sent; err != nil {
		t.Fatal(err)
	}
	n.settle(func(got notice) { t.Errorf("another user was heard: %+v", got) })

	if err := say(n.name, "READY=1\nX=1\nMAINPID=7"); err != nil {
		t.Fatal(err)
	}
	var heard []notice
	n.settle(func(got notice) { heard = append(heard, got) })
	if want := (notice{pid: os.Getpid(), ready: true, main: 7, relay: "READY=1\nX=1"}); len(heard) != 1 || heard[0] != want {
		t.Errorf("of this user's messages %+v was heard, want %+v", heard, want)
	}
}
