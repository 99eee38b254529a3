//go:build !linux

package control

import "errors"

func exchange(string, string) error { return errors.ErrUnsupported }
