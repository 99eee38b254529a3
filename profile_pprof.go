//go:build pprof

package main

import (
	"fmt"
	"net"
	"net/http"
	_ "net/http/pprof" // on http.DefaultServeMux, which nothing else uses
	"os"
)

// A daemon built with this tag shows its profiles, as net/http/pprof does, on
// the port of the loopback interface that KAMAL_PROXY_PPROF_PORT names.
func init() {
	port := os.Getenv("KAMAL_PROXY_PPROF_PORT")
	if port == "" || len(os.Args) < 2 || os.Args[1] != "run" {
		return
	}
	listener, err := net.Listen("tcp", net.JoinHostPort("127.0.0.1", port))
	if err != nil {
		fmt.Fprintf(os.Stderr, "Error: unable to show profiles on port %s: %v\n", port, err)
		os.Exit(1)
	}
	go http.Serve(listener, nil)
}
