// Kamal-proxy is an HTTP proxy that makes deployments lose nothing.
package main

import (
	"context"
	"io"
	"os"

	"kamal-proxy/cli"
)

func main() {
	os.Exit(run(context.Background(), os.Args[1:], os.Getenv, os.Stdout, os.Stderr))
}

// run is the program as a value, so that tests start it too. It returns the
// exit code.
func run(ctx context.Context, args []string, env func(string) string, stdout, stderr io.Writer) int {
	held := 0
	code := cli.Execute(ctx, args, env, stdout, stderr, func(ctx context.Context, o cli.RunOptions) (err error) {
		if os.Getpid() == 1 {
			held, err = hold(o, stdout)
			return err
		}
		return serve(ctx, o, stdout)
	})
	return max(code, held)
}
