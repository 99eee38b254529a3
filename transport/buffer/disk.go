package buffer

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// disk is the part of a body that memory has no room for. The zero disk has no
// file yet.
type disk struct {
	file *os.File
	end  int64 // bytes in the file
}

// write appends p to the file. Less than p comes with a *DiskError.
func (d *disk) write(p []byte, limits *Limits) (int, error) {
	if d.file == nil {
		file, err := limits.createFile()
		if err != nil {
			return 0, &DiskError{limits.dir(), err}
		}
		d.file = file
	}
	n, err := d.file.WriteAt(p, d.end)
	d.end += int64(n)
	if err != nil {
		return n, &DiskError{limits.dir(), err}
	}
	return n, nil
}

// readAt reads what is in the file from offset on into p, all that fits.
func (d *disk) readAt(p []byte, offset int64, limits *Limits) (int, error) {
	p = p[:min(int64(len(p)), d.end-offset)]
	if len(p) == 0 {
		return 0, nil
	}
	n, err := d.file.ReadAt(p, offset)
	if n < len(p) {
		return n, &DiskError{limits.dir(), err}
	}
	return n, nil
}

// clear makes the file empty.
func (d *disk) clear() {
	if d.end > 0 && d.file.Truncate(0) == nil {
		d.end = 0
	}
}

func (d *disk) close() error {
	if d.file == nil {
		return nil
	}
	err := d.file.Close()
	*d = disk{}
	return err
}

// Files have this name for the moment between their creation and the removal of
// their name, where the system cannot create them without one.
const tempPrefix = "kamal-proxy-body-"

// createAndRemove creates a file and removes its name at once.
func createAndRemove(dir string) (*os.File, error) {
	file, err := os.CreateTemp(dir, tempPrefix+"*")
	if err != nil {
		return nil, err
	}
	if err := os.Remove(file.Name()); err != nil && !errors.Is(err, fs.ErrNotExist) {
		file.Close()
		return nil, err
	}
	return file, nil
}

// Clean removes what a process that was killed may have left in a folder; an
// empty dir stands for the system's. It is called once, at start. It does no
// harm to bodies that another process keeps there.
func Clean(dir string) error {
	limits := Limits{Dir: dir}
	entries, err := os.ReadDir(limits.dir())
	if err != nil {
		return fmt.Errorf("unable to look for temporary files that were left behind: %w", err)
	}
	var failed error
	for _, entry := range entries {
		if !strings.HasPrefix(entry.Name(), tempPrefix) || !entry.Type().IsRegular() {
			continue
		}
		err := os.Remove(filepath.Join(limits.dir(), entry.Name()))
		if err != nil && failed == nil && !errors.Is(err, fs.ErrNotExist) {
			failed = fmt.Errorf("unable to remove a temporary file that was left behind: %w", err)
		}
	}
	return failed
}
