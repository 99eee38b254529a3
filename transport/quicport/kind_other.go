//go:build !linux

package quicport

import "syscall"

// lineKind keeps messages apart.
const lineKind = syscall.SOCK_DGRAM
