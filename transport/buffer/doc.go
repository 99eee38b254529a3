// Package buffer keeps bodies, so that a slow client holds up no target: in
// pooled memory first, then in a temporary file without a name.
//
// A request's body is read whole before its target is asked (Request). What a
// response gets depends on its head, and ModeOf tells:
//
//	Direct    nothing is kept: buffering is off, there is no body, the
//	          response is a stream of events, or the protocol was switched
//	Whole     the body is kept to its end before the client gets a byte of the
//	          response (Hold): its length is known, or limited
//	Streamed  the body is passed on as it comes, and what the client is too slow
//	          for is kept (Stream)
//
// # A stream
//
// As long as the client keeps up, one goroutine does it all:
//
//	target ──▶ Body ──read── request's goroutine ──write──▶ Client
//
// Each write is watched by a timer. When one takes longer than the stream's
// patience, the timer's own goroutine becomes the relief: it reads the body from
// then on, so that the target is free as soon as it has written.
//
//	target ──▶ Body ──read── relief
//	                           │ put            memory, then a file; when
//	                           ▼                both are full the target waits
//	                        backlog
//	                           │ take
//	                           ▼
//	                         request's goroutine ──write──▶ Client
//
// A part that finds the backlog empty and the client waiting is the relief's
// last: it leaves, and the request's goroutine reads for itself again. So a
// second goroutine exists only while the client is slow, and only the request's
// goroutine ever uses the client.
//
// # Memory
//
// Chunks of 4, 16 and 64 KiB come from pools as bytes arrive, never in advance.
// A body that fits in memory costs no file, no goroutine and, once the pools are
// warm, no allocation. Everything must be closed to go back there, and must not
// be used afterwards.
package buffer
