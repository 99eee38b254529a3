package buffer

import (
	"os"

	"golang.org/x/sys/unix"
)

// createTemp creates a file that never has a name. Not every file system can.
func createTemp(dir string) (*os.File, error) {
	file, err := os.OpenFile(dir, os.O_RDWR|os.O_EXCL|unix.O_TMPFILE, 0o600)
	if err != nil {
		return createAndRemove(dir)
	}
	return file, nil
}
