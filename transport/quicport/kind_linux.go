package quicport

import "syscall"

// lineKind keeps messages apart, and tells when the other end is closed.
const lineKind = syscall.SOCK_SEQPACKET
