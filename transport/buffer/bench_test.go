package buffer

import "testing"

func BenchmarkHold(b *testing.B) {
	for name, size := range benchmarkSizes {
		b.Run(name, func(b *testing.B) {
			src := &rewinding{all: body(size)}
			l := limits(b)
			b.ReportAllocs()
			b.SetBytes(int64(size))
			for b.Loop() {
				src.at = 0
				held, err := Hold(src, int64(size), l)
				if err != nil {
					b.Fatal(err)
				}
				held.WriteTo(discard{})
				held.Close()
			}
		})
	}
}

func BenchmarkStream(b *testing.B) {
	for name, size := range benchmarkSizes {
		b.Run(name, func(b *testing.B) {
			src := &rewinding{all: body(size)}
			l := limits(b)
			b.ReportAllocs()
			b.SetBytes(int64(size))
			for b.Loop() {
				src.at = 0
				if err := (Stream{Body: src, Client: discard{}, Limits: l}).Relay(); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

var benchmarkSizes = map[string]int{"1KiB": 1 << 10, "64KiB": 64 << 10, "1MiB": 1 << 20, "4MiB": 4 << 20}
