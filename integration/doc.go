// Package integration runs the built binary as a black box: real sockets, real
// peers, a HOME of its own for each daemon. It imports nothing of ours.
package integration
