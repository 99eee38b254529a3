package http2

import (
	"bufio"
	"bytes"
	"io"
	"net"
	"testing"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"

	"kamal-proxy/transport/exchange"
)

// BenchmarkRequest is one request on a connection over loopback, eight of them
// at a time, the client included.
func BenchmarkRequest(b *testing.B) {
	content := make([]byte, 1024)
	header := fields("Content-Type", "text/plain", "Date", "Mon, 01 Jan 2001 00:00:00 GMT", "ETag", "x")
	s := serve(b, func(e exchange.Exchange) {
		e.Respond(200, header, int64(len(content)))
		e.Write(content)
	})
	conn, err := net.Dial("tcp", s.addr)
	if err != nil {
		b.Fatal(err)
	}
	defer conn.Close()
	in, out := bufio.NewReaderSize(conn, 32<<10), bufio.NewWriter(conn)
	out.WriteString(http2.ClientPreface)
	framer := http2.NewFramer(out, in)
	framer.SetReuseFrames()
	framer.WriteSettings()
	framer.WriteWindowUpdate(0, 1<<30)
	var block bytes.Buffer
	encoder := hpack.NewEncoder(&block)
	id := uint32(1)
	b.ReportAllocs()
	for b.Loop() {
		for range 8 {
			block.Reset()
			for i := 0; i < len(get); i += 2 {
				encoder.WriteField(hpack.HeaderField{Name: get[i], Value: get[i+1]})
			}
			framer.WriteHeaders(http2.HeadersFrameParam{StreamID: id, BlockFragment: block.Bytes(), EndHeaders: true, EndStream: true})
			id += 2
		}
		out.Flush()
		var head [frameHead]byte
		for ends := 0; ends < 8; {
			if _, err := io.ReadFull(in, head[:]); err != nil {
				b.Fatal(err)
			}
			in.Discard(int(head[0])<<16 | int(head[1])<<8 | int(head[2]))
			if frameType(head[3]) == frameData && head[4]&flagEndStream != 0 {
				ends++
			}
		}
		if id > 1<<30 {
			b.Fatal("no more streams")
		}
	}
}
