//go:build !linux

package buffer

import "os"

func createTemp(dir string) (*os.File, error) { return createAndRemove(dir) }
