package store

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"

	"kamal-proxy/actors/spec"
)

// writer puts snapshots on disk. It remembers what is there, and the bytes of
// each record, so that a change to one service encodes one.
type writer struct {
	folder
	entries map[*spec.Record]entry

	learned bool   // the rest is what the disk has
	present string // sha256 of the state file, in hex; empty: there is none
	more    more
	rawMore []byte // as in its file; nil: there is none
}

// entry is a record's bytes, and whether they are kept from upstream.
type entry struct {
	json []byte
	kept bool
}

func newWriter(dir string, disk Disk) *writer {
	return &writer{folder: newFolder(dir, disk), entries: map[*spec.Record]entry{}}
}

// write returns when records, and nothing else, are on disk. When it fails,
// what was on disk before still is.
func (w *writer) write(records Snapshot) error {
	replaced := false
	defer func() { w.learned = replaced }() // after a panic, too
	if err := w.replace(w.encode(records)); err != nil {
		return fmt.Errorf("unable to save the state in %s: %w", w.dir, err)
	}
	replaced = true
	return nil
}

// encode returns the entries of the two files.
func (w *writer) encode(records Snapshot) (state, kept []json.RawMessage) {
	entries := make(map[*spec.Record]entry, len(w.entries))
	for r := range records.Each {
		e, ok := w.entries[r]
		if !ok {
			e = entry{json: r.AppendJSON(nil), kept: spec.UpstreamLoads(r) != nil}
		}
		entries[r] = e
		if e.kept {
			kept = append(kept, e.json)
		} else {
			state = append(state, e.json)
		}
	}
	w.entries = entries
	return state, kept
}

// replace changes first the file that holds both generations, then the one
// whose rename switches from one to the other.
func (w *writer) replace(state, kept []json.RawMessage) error {
	if err := w.learn(); err != nil {
		return err
	}
	fill := func(to io.Writer) error { return writeArray(to, state) }
	sum := hashOf(fill)
	next := w.more.next(w.present, sum, kept)
	idle := next.empty() && w.more.empty()
	if !idle {
		if err := w.replaceMore(next); err != nil {
			return err
		}
	}
	if sum != w.present {
		if err := w.update(stateFile, fill); err != nil {
			return err
		}
		w.present = sum
	}
	if idle && w.rawMore != nil {
		w.dropMore()
	}
	return nil
}

func (w *writer) replaceMore(next more) error {
	raw, err := next.encode()
	if err != nil || bytes.Equal(raw, w.rawMore) {
		return err
	}
	if err := w.update(moreFile, contents(raw)); err != nil {
		return err
	}
	w.more, w.rawMore = next, raw
	return nil
}

func (w *writer) update(name string, fill func(io.Writer) error) error {
	draft, err := w.draft(fill)
	if err != nil {
		return err
	}
	return w.commit(draft, name)
}

// dropMore removes the second file once it has said nothing for a while. If it
// stays, it says nothing still, and the next write tries again.
func (w *writer) dropMore() {
	_ = w.disk.Remove(w.path(moreFile + backupSuffix))
	if w.disk.Remove(w.path(moreFile)) == nil {
		w.more, w.rawMore = more{}, nil
	}
}

// learn looks at what the disk has.
func (w *writer) learn() error {
	if w.learned {
		return nil
	}
	state, there, err := w.read(stateFile)
	if err != nil {
		return err
	}
	rawMore, hasMore, err := w.read(moreFile)
	if err != nil {
		return err
	}
	w.present, w.more, w.rawMore = "", more{}, nil
	if there {
		w.present = hashOf(contents(state))
	}
	if hasMore {
		w.rawMore = rawMore
		if w.more, err = parseMore(rawMore); err != nil {
			w.more = more{} // Load has told of it and set it aside
		}
	}
	w.learned = true
	return nil
}

// writeArray writes the state file: a line for each entry.
func writeArray(to io.Writer, entries []json.RawMessage) error {
	separator := "["
	for _, entry := range entries {
		if _, err := io.WriteString(to, separator); err != nil {
			return err
		}
		if _, err := to.Write(entry); err != nil {
			return err
		}
		separator = ",\n"
	}
	if len(entries) == 0 {
		_, err := io.WriteString(to, "[]\n")
		return err
	}
	_, err := io.WriteString(to, "]\n")
	return err
}

func hashOf(fill func(io.Writer) error) string {
	h := sha256.New()
	_ = fill(h) // a hash takes everything
	return hex.EncodeToString(h.Sum(nil))
}
