//go:build !linux

package main

import (
	"context"
	"io"

	"kamal-proxy/cli"
)

// hold serves: only Linux has containers where this program is process number 1.
func hold(o cli.RunOptions, stdout io.Writer) (code int, err error) {
	return 0, serve(context.Background(), o, stdout)
}
