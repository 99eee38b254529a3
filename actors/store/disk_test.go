package store

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"path/filepath"
	"slices"
	"strings"
)

// fakeDisk is a file system in memory that keeps apart what was written and
// what would outlive a power cut. Its step number failAt fails; with dead, so
// do all that follow, as for a process that is no more.
type fakeDisk struct {
	live    map[string]*inode
	durable map[string]*inode
	pending []change // of the folder, since it was last synced

	steps  int
	failAt int // 0: never
	dead   bool
	noLink bool
	seq    int
}

type inode struct{ data, synced []byte }

// change is one change of the folder: names that appear and a name that goes.
type change struct {
	set    string
	inode  *inode
	remove string
}

var errDisk = errors.New("the disk failed")

func newFakeDisk(files map[string]string) *fakeDisk {
	d := &fakeDisk{live: map[string]*inode{}}
	for name, data := range files {
		d.live[filepath.Join(testDir, name)] = &inode{data: []byte(data), synced: []byte(data)}
	}
	d.durable = maps.Clone(d.live)
	return d
}

func (d *fakeDisk) step() error {
	d.steps++
	if d.steps == d.failAt || d.dead && d.failAt > 0 && d.steps > d.failAt {
		return errDisk
	}
	return nil
}

func (d *fakeDisk) change(c change) {
	c.apply(d.live)
	d.pending = append(d.pending, c)
}

func (c change) apply(names map[string]*inode) {
	if c.remove != "" {
		delete(names, c.remove)
	}
	if c.set != "" {
		names[c.set] = c.inode
	}
}

func (d *fakeDisk) MkdirAll(string) error { return nil }

func (d *fakeDisk) ReadFile(name string) ([]byte, error) {
	if err := d.step(); err != nil {
		return nil, err
	}
	if i, ok := d.live[name]; ok {
		return bytes.Clone(i.data), nil
	}
	return nil, fs.ErrNotExist
}

func (d *fakeDisk) Names(dir string) ([]string, error) {
	var names []string
	for path := range d.live {
		names = append(names, filepath.Base(path))
	}
	return names, nil
}

func (d *fakeDisk) Create(pattern string) (File, error) {
	if err := d.step(); err != nil {
		return nil, err
	}
	d.seq++
	f := &fakeFile{disk: d, inode: &inode{}, name: strings.Replace(pattern, "*", fmt.Sprint(d.seq), 1)}
	d.change(change{set: f.name, inode: f.inode})
	return f, nil
}

func (d *fakeDisk) Link(from, to string) error {
	if err := d.step(); err != nil {
		return err
	}
	i, ok := d.live[from]
	if !ok {
		return fs.ErrNotExist
	}
	if d.noLink {
		return fs.ErrInvalid
	}
	d.change(change{set: to, inode: i})
	return nil
}

func (d *fakeDisk) Rename(from, to string) error {
	if err := d.step(); err != nil {
		return err
	}
	i, ok := d.live[from]
	if !ok {
		return fs.ErrNotExist
	}
	if d.live[to] == i {
		return nil // as POSIX has it
	}
	d.change(change{set: to, inode: i, remove: from})
	return nil
}

func (d *fakeDisk) Remove(name string) error {
	if err := d.step(); err != nil {
		return err
	}
	if _, ok := d.live[name]; !ok {
		return fs.ErrNotExist
	}
	d.change(change{remove: name})
	return nil
}

func (d *fakeDisk) SyncDir(string) error {
	if err := d.step(); err != nil {
		return err
	}
	d.durable, d.pending = maps.Clone(d.live), nil
	return nil
}

// powerCuts yields each disk that a power cut now could leave: what was synced,
// and any part of the changes of the folder that were not.
func (d *fakeDisk) powerCuts(yield func(*fakeDisk) bool) {
	for some := range 1 << len(d.pending) {
		names := maps.Clone(d.durable)
		for i, c := range d.pending {
			if some&(1<<i) != 0 {
				c.apply(names)
			}
		}
		after := &fakeDisk{live: map[string]*inode{}, seq: d.seq, noLink: d.noLink}
		for name, i := range names {
			after.live[name] = &inode{data: i.synced, synced: i.synced}
		}
		after.durable = maps.Clone(after.live)
		if !yield(after) {
			return
		}
	}
}

// afterKill is the disk that the end of the process leaves.
func (d *fakeDisk) afterKill() *fakeDisk {
	after := &fakeDisk{live: maps.Clone(d.live), seq: d.seq, noLink: d.noLink}
	after.durable = maps.Clone(after.live)
	return after
}

func (d *fakeDisk) names() []string {
	names, _ := d.Names("")
	slices.Sort(names)
	return names
}

type fakeFile struct {
	disk  *fakeDisk
	inode *inode
	name  string
}

func (f *fakeFile) Name() string { return f.name }
func (f *fakeFile) Close() error { return f.disk.step() }

func (f *fakeFile) Write(b []byte) (int, error) {
	if err := f.disk.step(); err != nil {
		f.inode.data = append(f.inode.data, b[:len(b)/2]...)
		return len(b) / 2, err
	}
	f.inode.data = append(f.inode.data, b...)
	return len(b), nil
}

func (f *fakeFile) Sync() error {
	if err := f.disk.step(); err != nil {
		return err
	}
	f.inode.synced = bytes.Clone(f.inode.data)
	return nil
}
