package main

import (
	"fmt"
	"net"
	"net/http"
	"time"
)

// serveApp is the app that the demo deploys: it says which version it is, and
// needs a moment for it.
func serveApp(version, address string) error {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /up", func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprintln(w, "OK")
	})
	mux.HandleFunc("GET /slow", func(w http.ResponseWriter, r *http.Request) {
		select {
		case <-time.After(2 * time.Second):
			fmt.Fprintf(w, "hello from %s, after a while\n", version)
		case <-r.Context().Done():
		}
	})
	mux.HandleFunc("GET /", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("X-Version", version)
		fmt.Fprintf(w, "hello from %s\n", version)
	})
	listener, err := net.Listen("tcp", address)
	if err != nil {
		return fmt.Errorf("the app cannot listen on %s: %w", address, err)
	}
	server := &http.Server{Handler: mux, ReadHeaderTimeout: 10 * time.Second}
	return server.Serve(listener)
}
