package store

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// The files in the data folder.
const (
	stateFile    = "kamal-proxy.state"
	moreFile     = stateFile + ".more"
	backupSuffix = ".bak"
	asidePrefix  = ".damaged-"
	tempSuffix   = ".tmp"
)

// folder is the data folder, with the few ways in which its files change. Each
// leaves a file as it was or as it is to be, whenever it is cut short.
type folder struct {
	dir  string
	disk Disk
}

func newFolder(dir string, disk Disk) folder {
	if disk == nil {
		disk = OS{}
	}
	return folder{dir: dir, disk: disk}
}

func (f folder) path(name string) string { return filepath.Join(f.dir, name) }

// read returns a file's contents, and whether there is such a file.
func (f folder) read(name string) (data []byte, there bool, err error) {
	data, err = f.disk.ReadFile(f.path(name))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, false, nil
	}
	return data, err == nil, err
}

// draft makes a new file with what fill writes, all of it on disk, and returns
// its path. It takes the place of another by commit, or is dropped by discard.
func (f folder) draft(fill func(io.Writer) error) (path string, err error) {
	if err := f.disk.MkdirAll(f.dir); err != nil {
		return "", err
	}
	file, err := f.disk.Create(f.path(stateFile + ".*" + tempSuffix))
	if err != nil {
		return "", err
	}
	w := bufio.NewWriterSize(file, 64<<10)
	err = errors.Join(fill(w), w.Flush())
	if err == nil {
		err = file.Sync()
	}
	if err = errors.Join(err, file.Close()); err != nil {
		f.discard(file.Name())
		return "", err
	}
	return file.Name(), nil
}

// discard drops a draft. One that stays is cleaned up by the next Load.
func (f folder) discard(draft string) { _ = f.disk.Remove(draft) }

// commit puts a draft in the place of name, whose present contents become its
// backup, and returns when that is on disk. When it fails, name is as it was.
func (f folder) commit(draft, name string) error {
	replaces, err := f.backUp(name)
	if err == nil {
		err = f.disk.Rename(draft, f.path(name))
	}
	if err != nil {
		f.discard(draft)
		return err
	}
	if err := f.disk.SyncDir(f.dir); err != nil {
		return errors.Join(err, f.undo(name, replaces))
	}
	return nil
}

// undo takes a commit back of which it is not known whether it is on disk.
func (f folder) undo(name string, replaced bool) error {
	if replaced {
		return f.disk.Rename(f.path(name+backupSuffix), f.path(name))
	}
	return f.disk.Remove(f.path(name))
}

// backUp makes the file's present contents its backup, too, and reports
// whether there were any. At no moment is one of the two missing.
func (f folder) backUp(name string) (there bool, err error) {
	copied, there, err := f.copy(name)
	if !there || err != nil {
		return there, err
	}
	if err := f.disk.Rename(copied, f.path(name+backupSuffix)); err != nil {
		f.discard(copied)
		return true, err
	}
	return true, nil
}

// copy makes a draft with a file's contents: a second link to it, or a real
// copy where there are no links.
func (f folder) copy(name string) (draft string, there bool, err error) {
	draft = f.path(name + backupSuffix + tempSuffix)
	f.discard(draft)
	linked := f.disk.Link(f.path(name), draft)
	if linked == nil {
		return draft, true, nil
	}
	data, there, err := f.read(name)
	if !there || err != nil {
		return "", there, err
	}
	draft, err = f.draft(contents(data))
	return draft, true, err
}

// setAside keeps what a file has now under another name, which it returns. The
// file itself stays. The same contents are kept once.
func (f folder) setAside(name string, data []byte, now time.Time) (string, error) {
	names, err := f.disk.Names(f.dir)
	if err != nil {
		return "", err
	}
	for _, other := range names {
		if strings.HasPrefix(other, name+asidePrefix) {
			if kept, there, _ := f.read(other); there && bytes.Equal(kept, data) {
				return other, nil
			}
		}
	}
	second := now.Unix()
	for slices.Contains(names, fmt.Sprint(name, asidePrefix, second)) {
		second++
	}
	aside := fmt.Sprint(name, asidePrefix, second)
	return aside, f.put(aside, data)
}

// put makes data the contents of a file, and leaves its backup alone.
func (f folder) put(name string, data []byte) error {
	draft, err := f.draft(contents(data))
	if err != nil {
		return err
	}
	if err := f.disk.Rename(draft, f.path(name)); err != nil {
		f.discard(draft)
		return err
	}
	return f.disk.SyncDir(f.dir)
}

func contents(data []byte) func(io.Writer) error {
	return func(w io.Writer) error { _, err := w.Write(data); return err }
}

// clean removes the drafts of a process that was cut short.
func (f folder) clean() {
	names, _ := f.disk.Names(f.dir) // a folder that is not there is clean
	for _, name := range names {
		if strings.HasPrefix(name, stateFile+".") && strings.HasSuffix(name, tempSuffix) {
			f.discard(f.path(name))
		}
	}
}
