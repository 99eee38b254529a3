package upstream_test

import (
	"context"
	"io"
	"net/http"
	"strings"
	"testing"

	"kamal-proxy/transport/exchange"
	"kamal-proxy/transport/upstream"
)

// answering is a target that answers every GET with 1 KiB, as cheaply as
// possible.
func answering(b *testing.B) string {
	response := []byte("HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nDate: Mon, 02 Jan 2006 15:04:05 GMT\r\nContent-Length: 1024\r\n\r\n" + strings.Repeat("x", 1024))
	return listen(b, func(_ int, p *peer) {
		buf := make([]byte, 4096)
		for {
			if _, err := p.Read(buf); err != nil {
				return
			}
			p.Write(response)
		}
	})
}

var benchHeader = exchange.Header{
	{Name: "Accept", Value: "*/*"}, {Name: "User-Agent", Value: "bench"}, {Name: "X-Forwarded-For", Value: "127.0.0.1"},
	{Name: "X-Forwarded-Proto", Value: "http"}, {Name: "X-Request-ID", Value: "2f6c4f0c-9d2c-4b1c-9a77-0a9f6d7f4f34"},
}

func BenchmarkSend(b *testing.B) {
	for _, watched := range []bool{false, true} {
		name := "Background"
		if watched {
			name = "WithCancel"
		}
		b.Run(name, func(b *testing.B) {
			u := target(b, upstream.Options{Address: answering(b), ResponseTimeout: 30e9})
			r := get("/small")
			r.Header = benchHeader
			buf := make([]byte, 4096)
			b.ReportAllocs()
			for b.Loop() {
				ctx, cancel := context.Background(), func() {}
				if watched {
					ctx, cancel = context.WithCancel(ctx)
				}
				res, err := u.Send(ctx, r, nil)
				if err != nil {
					b.Fatal(err)
				}
				for err == nil {
					_, err = res.Body.Read(buf)
				}
				res.Close()
				cancel()
			}
		})
	}
}

func BenchmarkNetHTTPTransport(b *testing.B) {
	transport := &http.Transport{MaxIdleConnsPerHost: 256, ResponseHeaderTimeout: 30e9, DisableCompression: true}
	r, err := http.NewRequest("GET", "http://"+answering(b)+"/small", nil)
	if err != nil {
		b.Fatal(err)
	}
	for _, f := range benchHeader {
		r.Header.Add(f.Name, f.Value)
	}
	b.ReportAllocs()
	for b.Loop() {
		res, err := transport.RoundTrip(r)
		if err != nil {
			b.Fatal(err)
		}
		io.Copy(io.Discard, res.Body)
		res.Body.Close()
	}
}

func BenchmarkSendPost64K(b *testing.B) {
	response := okay
	address := listen(b, func(_ int, p *peer) {
		buf := make([]byte, 64<<10)
		for p.head() != "" {
			if _, err := io.ReadFull(p.in, buf); err != nil {
				return
			}
			p.say(response)
		}
	})
	u := target(b, upstream.Options{Address: address, ResponseTimeout: 30e9})
	body := strings.NewReader(strings.Repeat("x", 64<<10))
	r := post("")
	r.Body, r.ContentLength = body, body.Size()
	b.ReportAllocs()
	for b.Loop() {
		body.Seek(0, io.SeekStart)
		res, err := u.Send(context.Background(), r, nil)
		if err != nil {
			b.Fatal(err)
		}
		io.Copy(io.Discard, res.Body)
		res.Close()
	}
}
