package ingress

import (
	"io"
	"net"
	"testing"

	"github.com/rs/zerolog"

	"kamal-proxy/transport/exchange"
)

// BenchmarkRequest is one request on a kept connection over loopback, the client
// included. It should not allocate.
func BenchmarkRequest(b *testing.B) {
	content := make([]byte, 1024)
	header := fields("Content-Type", "text/plain", "Date", "Mon, 01 Jan 2001 00:00:00 GMT", "ETag", "x")
	nop := func() {}
	handler := func(e exchange.Exchange) {
		stop := e.Context().(interface{ AfterFunc(func()) func() bool }).AfterFunc(nop)
		e.Context().Done()
		e.Respond(200, header, int64(len(content)))
		e.Write(content)
		stop()
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	s := NewServer(Config{Handler: handler, Log: zerolog.Nop()})
	go s.Serve(listener)
	defer s.Shutdown(b.Context())
	conn, err := net.Dial("tcp", listener.Addr().String())
	if err != nil {
		b.Fatal(err)
	}
	defer conn.Close()
	request := []byte("GET /some/path?q=1 HTTP/1.1\r\nHost: example.com\r\nUser-Agent: bench\r\nAccept: */*\r\nAccept-Encoding: gzip\r\n\r\n")
	response := make([]byte, 4096)
	size := 0
	b.ReportAllocs()
	for b.Loop() {
		conn.Write(request)
		if size == 0 {
			size, err = conn.Read(response)
		} else {
			_, err = io.ReadFull(conn, response[:size])
		}
		if err != nil {
			b.Fatal(err)
		}
	}
}
