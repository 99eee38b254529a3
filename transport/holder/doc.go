// Package holder is the first process of a container, where it is ours. It holds
// the listening sockets, starts a worker that serves them, and starts another
// one when that crashes: connections that come in between wait in the kernel's
// queue. It passes signals on, and takes care of processes that nobody else
// waits for, as process number 1 has to.
//
//	starting -> serving -> (crashed) -> waiting -> serving -> …
//	    |          |                       |
//	    +----------+---- ending -----------+--> ended
//
// A worker says that it is ready, and which process takes its place in an
// upgrade, by the protocol of transport/notify; the last one so named is the
// worker whose end counts. Those before it, which may still end what they had
// begun, are its elders. When process number 1 ends, the kernel ends all others
// of its namespace: no worker outlives the holder.
package holder

// Variable is in the environment of workers, and of their successors.
const Variable = "KAMAL_PROXY_HELD"
