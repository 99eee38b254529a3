// App is a small web app to try a proxy with. It says which version and which
// container answers, and has the answers that a switch could break: slow ones,
// streams and WebSockets.
//
//	app               serves on $PORT, 3000 when it is not set
//	app load <url>    asks for a page all the time and tells who answers
package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/signal"
	"syscall"
	"time"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	var err error
	switch {
	case len(os.Args) == 1:
		err = serve(ctx)
	case len(os.Args) == 3 && os.Args[1] == "load":
		load(ctx, os.Args[2])
	default:
		err = errors.New("usage: app | app load <url>")
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "app:", err)
		os.Exit(1)
	}
}

// serve runs the app until ctx ends, then lets requests finish for a while.
func serve(ctx context.Context) error {
	boot, err := time.ParseDuration(cmp.Or(os.Getenv("BOOT_TIME"), "0s"))
	if err != nil {
		return fmt.Errorf("BOOT_TIME is no duration: %w", err)
	}
	container, err := os.Hostname()
	if err != nil {
		return fmt.Errorf("the container has no name: %w", err)
	}
	a := &app{version: cmp.Or(os.Getenv("VERSION"), "dev"), container: container, ready: time.Now().Add(boot)}
	server := &http.Server{
		Addr:              ":" + cmp.Or(os.Getenv("PORT"), "3000"),
		Handler:           a.routes(),
		ReadHeaderTimeout: 10 * time.Second,
	}
	failed := make(chan error, 1)
	go func() { failed <- server.ListenAndServe() }()
	select {
	case err := <-failed:
		return err
	case <-ctx.Done():
	}
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	return server.Shutdown(ctx)
}
