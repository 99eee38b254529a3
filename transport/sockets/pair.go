package sockets

import (
	"os"
	"syscall"
)

// Pair makes two unix sockets that are each other's end, of the given kind
// (syscall.SOCK_STREAM, …); no child gets them that is not given them.
func Pair(kind int, name string) (ours, theirs *os.File, err error) {
	syscall.ForkLock.RLock()
	ends, err := syscall.Socketpair(syscall.AF_UNIX, kind, 0)
	if err == nil {
		syscall.CloseOnExec(ends[0])
		syscall.CloseOnExec(ends[1])
	}
	syscall.ForkLock.RUnlock()
	if err != nil {
		return nil, nil, os.NewSyscallError("socketpair", err)
	}
	return os.NewFile(uintptr(ends[0]), name), os.NewFile(uintptr(ends[1]), name), nil
}
