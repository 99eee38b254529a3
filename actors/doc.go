// Package actors is the map of what is below it; it has no code.
//
// Everything that kamal-proxy decides is decided by an actor: a value with an
// inbox, that handles one message at a time and therefore needs no lock. No
// byte of a request or a response passes through one: an actor says where a
// request goes, and hears when it is over.
//
// # The tree
//
// Who spawns whom, and who imports whom: a child never imports its parent, but
// tells it events by a function that it was given.
//
//	main
//	 └── registry            owns names, hosts and paths; all questions and orders come here
//	      ├── store          keeps what is committed on disk
//	      └── service        one each: its gate, its targets, the leases on them, its deploys
//	           └── healthcheck    one for each target that is checked
//
// Beside them, without an actor of their own:
//
//	spec      the plain values that all of this is told in
//	system    the actor library behind typed references and a guard
//
// # A request
//
// is one question and one goodbye.
//
//	request --Route--> registry --Route--> service --Verdict--> request … request --Finish--> service
//
// To pause a service is not to answer yet. To drain it is to wait until all
// have said goodbye.
//
// # An order
//
// that changes anything is a claim first: it takes effect when it is on disk.
//
//	order --> registry --> service --Claim--> registry --Save--> store
//	                       service <-Granted- registry <-Saved-- store
//
// # The rules
//
//   - A message has a type, a comment that says who sends it, and a place in its
//     package's protocol.go. Its type lives with who takes it.
//   - Receive is a switch of one-line cases, and never waits: what takes time runs
//     elsewhere and comes back as a message; who waits for something is an entry
//     in the state.
//   - Who was asked, answers: once, whatever happens. A panic, a stop and the
//     end of the proxy are answers, too.
//   - A panic costs the message that it came in. What is put together from
//     several steps is computed first and assigned last, and what an actor was
//     given to call is called by Protect.
//   - The registry is the only sender of Route, Granted and Remove, and sends the
//     last two in the Receive that changes its table: so what was routed before a
//     switch is in the service's inbox before it.
//   - A timer tells a message. It may come late: it carries what it was set for,
//     and is ignored when that is over.
//   - A function that an actor calls (Notify, Cut, Tell, Forgotten) does not wait.
//   - Nothing here knows HTTP, sockets or files but the store its own: the rest is
//     injected.
//
// # Where to start
//
// Read registry/protocol.go and service/protocol.go, then service/deploy.go,
// which is the main job from its order to its switch, and registry/change.go,
// which is the other side of it. The tests of registry play all of it at once, on
// a clock of their own; its harness_test.go is a good way to try something.
package actors
