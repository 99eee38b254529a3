package main

import (
	"context"
	"net"
	"testing"
	"time"
)

// A port that the kernel alone still answers on does not accept.
func TestAPortThatNobodyServesDoesNotAccept(t *testing.T) {
	for _, address := range []string{"127.0.0.1:0", ":0"} {
		l, err := net.Listen("tcp", address)
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
		ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
		if err := accepts(ctx, l); err == nil {
			t.Errorf("%s accepts, although nobody serves it", address)
		}
		cancel()
		go func() {
			for {
				conn, err := l.Accept()
				if err != nil {
					return
				}
				conn.Close()
			}
		}()
		if err := accepts(t.Context(), l); err != nil {
			t.Errorf("%s is served and does not accept: %v", address, err)
		}
	}
}
