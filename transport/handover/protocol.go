// Package handover is what two processes of this program say to each other
// while one takes the other's place: the one that was there (the predecessor)
// and the one that it starts (the successor).
//
// They speak over a socket pair, of which the successor inherits one end: JSON
// lines, each with one message.
//
//	predecessor --State---->  successor   what is committed; nothing changes it any more
//	            <--Ready----              it could serve from now on
//	            <--Failed---              or it could not, and ends
//	            --Proceed-->              the sockets and the state file are yours
//	            <--Follow---              I have committed this, follow
//	            --Followed->              what that replaced has drained
//	            <--End------              I was told to end, so end, too
//
// Until Proceed the predecessor is what serves, and a successor that fails,
// dies or is not ready in time has changed nothing: it is killed, and the pair
// closed. From Proceed on the successor is on its own, whatever becomes of
// either. The pair stays open until one of them is gone. Then whatever was not
// Followed counts as drained, for there is nobody left to wait for.
//
// A message that is not known is skipped, and so is a field: either side may be
// the newer one. What cannot be skipped raises State.Protocol.
package handover

import (
	"time"

	"kamal-proxy/actors/spec"
)

// protocol is what this version speaks.
const protocol = 1

// State is all that a successor needs to know.
type State struct {
	Protocol int
	Version  string // of the predecessor
	Records  []*spec.Record
	QUIC     *QUIC // nil: it has no such port
}

// QUIC is how the predecessor has its UDP port, see package quicport.
type QUIC struct {
	Generation byte
	Key        []byte
}

// Ready says that the successor waits for Proceed.
type Ready struct {
	Version string
	PID     int // not that of the process that was started if that is a script's shell; 0: not told
}

// Failed says why the successor will never be ready.
type Failed struct {
	Error string
}

// Following is what the successor has committed of one service.
type Following struct {
	Service      string
	What         string        // the order that was carried out
	Record       *spec.Record  // nil: it was removed
	DrainTimeout time.Duration // then what is replaced by it is cut off
}

// message is one line: one of its fields is set.
type message struct {
	State    *State    `json:",omitempty"`
	Ready    *Ready    `json:",omitempty"`
	Failed   *Failed   `json:",omitempty"`
	Proceed  *struct{} `json:",omitempty"`
	Follow   *follow   `json:",omitempty"`
	Followed *followed `json:",omitempty"`
	End      *struct{} `json:",omitempty"`
}

// follow carries the number that its followed names.
type follow struct {
	Number uint64
	Following
}

type followed struct {
	Number uint64
}
