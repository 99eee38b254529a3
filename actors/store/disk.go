package store

import (
	"io"
	"os"
	"path/filepath"
)

// Disk is the part of a file system that a store needs. Names are whole paths.
type Disk interface {
	MkdirAll(dir string) error
	ReadFile(name string) ([]byte, error)
	// Names returns what is in dir, without the path.
	Names(dir string) ([]string, error)
	// Create makes a file that was not there, for its owner's eyes only; the
	// last * of the pattern becomes something else.
	Create(pattern string) (File, error)
	Link(from, to string) error
	Rename(from, to string) error
	Remove(name string) error
	// SyncDir returns when what was made, linked, renamed and removed in dir
	// outlives a power cut.
	SyncDir(dir string) error
}

// File is a file that is being written.
type File interface {
	io.WriteCloser
	Name() string
	// Sync returns when what was written outlives a power cut.
	Sync() error
}

// OS is the machine's Disk.
type OS struct{}

func (OS) MkdirAll(dir string) error            { return os.MkdirAll(dir, 0o700) }
func (OS) ReadFile(name string) ([]byte, error) { return os.ReadFile(name) }
func (OS) Link(from, to string) error           { return os.Link(from, to) }
func (OS) Rename(from, to string) error         { return os.Rename(from, to) }
func (OS) Remove(name string) error             { return os.Remove(name) }

func (OS) Names(dir string) ([]string, error) {
	entries, err := os.ReadDir(dir)
	names := make([]string, len(entries))
	for i, entry := range entries {
		names[i] = entry.Name()
	}
	return names, err
}

func (OS) Create(pattern string) (File, error) {
	f, err := os.CreateTemp(filepath.Dir(pattern), filepath.Base(pattern))
	if err != nil {
		return nil, err // not a File that holds nil
	}
	return f, nil
}

func (OS) SyncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer d.Close()
	return d.Sync()
}
