package store

import "kamal-proxy/actors/spec"

// Message is what the store takes.
type Message interface{ storeMessage() }

// Save is sent by the registry after each change it means to make: keep these
// records. A later Save replaces an earlier one that is not being written yet.
type Save struct {
	Sequence uint64 // grows by one with each Save
	Records  Snapshot
}

// written comes from the goroutine that writes.
type written struct {
	sequence uint64
	err      error
}

func (Save) storeMessage()    {}
func (written) storeMessage() {}

// Saved is what the store tells the registry: the records of every Save up to
// Sequence are on disk, or, with Err, those since the last Saved are not and the
// file is as it was.
type Saved struct {
	Sequence uint64
	Err      error
}

// Snapshot is an immutable set of records that other goroutines may walk.
type Snapshot interface {
	// Each calls yield with each record in the order of their names.
	Each(yield func(*spec.Record) bool)
}
