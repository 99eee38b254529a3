package model_test

import (
	"errors"
	"io/fs"
	"maps"
	"path/filepath"
	"strings"
	"sync"

	"kamal-proxy/actors/store"
)

// disk is a folder in memory, which can be slow, fail, or panic.
type disk struct {
	mu     sync.Mutex
	files  map[string][]byte
	number int
	gate   chan struct{} // not nil: steps wait until it is closed
	fails  int           // the step after so many, and those that follow it
	failed int           // how many follow
	panics bool          // a step that fails panics

	touched bool // something of it has failed
	stale   bool // a save has failed, and none gone well since
}

func newDisk() *disk { return &disk{files: map[string][]byte{}} }

var errDisk = errors.New("the disk is broken")

func (d *disk) take(s step) {
	d.mu.Lock()
	defer d.mu.Unlock()
	switch s.kind {
	case "hold disk":
		if d.gate == nil {
			d.gate = make(chan struct{})
		}
	case "free disk":
		d.free()
	default:
		d.fails, d.failed, d.panics = s.a%20, 1+s.b%12, s.kind == "disk panics"
	}
}

// quiet reports whether what is on disk is what was answered: nothing is being
// written, and the last save went well.
func (d *disk) quiet() bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.gate == nil && !d.stale
}

func (d *disk) broken() bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.touched
}

func (d *disk) saved(err error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.stale = err != nil
}

func (d *disk) free() {
	if d.gate != nil {
		close(d.gate)
		d.gate = nil
	}
}

// heal makes it a good disk again.
func (d *disk) heal() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.failed = 0
	d.free()
}

// copy is what a restart would find.
func (d *disk) copy() *disk {
	d.mu.Lock()
	defer d.mu.Unlock()
	return &disk{files: maps.Clone(d.files)}
}

func (d *disk) step() error {
	d.mu.Lock()
	gate := d.gate
	d.mu.Unlock()
	if gate != nil {
		<-gate
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.failed == 0 {
		return nil
	}
	if d.fails > 0 {
		d.fails--
		return nil
	}
	d.failed--
	d.touched, d.stale = true, true
	if d.panics {
		panic("the disk panics")
	}
	return errDisk
}

// change is a step that changes the folder.
func (d *disk) change(f func() error) error {
	if err := d.step(); err != nil {
		return err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	return f()
}

// MkdirAll implements store.Disk, as do all that follow.
func (d *disk) MkdirAll(string) error { return d.step() }
func (d *disk) SyncDir(string) error  { return d.step() }

func (d *disk) ReadFile(name string) (data []byte, err error) {
	err = d.change(func() error {
		there := false
		if data, there = d.files[name]; !there {
			return fs.ErrNotExist
		}
		return nil
	})
	return data, err
}

func (d *disk) Names(string) (names []string, err error) {
	err = d.change(func() error {
		for name := range d.files {
			names = append(names, filepath.Base(name))
		}
		return nil
	})
	return names, err
}

func (d *disk) Create(pattern string) (store.File, error) {
	f := &file{disk: d}
	err := d.change(func() error {
		d.number++
		f.name = strings.Replace(pattern, "*", string(rune('a'+d.number%26))+strings.Repeat("x", d.number/26), 1)
		d.files[f.name] = nil
		return nil
	})
	if err != nil {
		return nil, err
	}
	return f, nil
}

func (d *disk) Link(from, to string) error {
	return d.change(func() error {
		if _, there := d.files[to]; there {
			return fs.ErrExist
		}
		d.files[to] = d.files[from]
		return nil
	})
}

func (d *disk) Rename(from, to string) error {
	return d.change(func() error {
		d.files[to] = d.files[from]
		delete(d.files, from)
		return nil
	})
}

func (d *disk) Remove(name string) error {
	return d.change(func() error {
		if _, there := d.files[name]; !there {
			return fs.ErrNotExist
		}
		delete(d.files, name)
		return nil
	})
}

type file struct {
	disk *disk
	name string
}

func (f *file) Name() string { return f.name }
func (f *file) Close() error { return f.disk.step() }
func (f *file) Sync() error  { return f.disk.step() }

func (f *file) Write(p []byte) (int, error) {
	err := f.disk.change(func() error {
		f.disk.files[f.name] = append(f.disk.files[f.name][:len(f.disk.files[f.name]):len(f.disk.files[f.name])], p...)
		return nil
	})
	if err != nil {
		return 0, err
	}
	return len(p), nil
}
