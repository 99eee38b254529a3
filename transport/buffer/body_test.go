package buffer

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"
	"testing"
	"testing/iotest"

	"kamal-proxy/transport/exchange"
)

func TestHoldKeepsEverySize(t *testing.T) {
	for _, size := range sizes {
		want := body(size)
		for _, length := range []int64{int64(size), -1} {
			t.Run(fmt.Sprintf("%d bytes, announced %d", size, length), func(t *testing.T) {
				b, err := Hold(bytes.NewReader(want), length, limits(t))
				if err != nil {
					t.Fatal(err)
				}
				defer b.Close()
				if b.Len() != int64(size) {
					t.Errorf("Len = %d", b.Len())
				}
				mustRead(t, &b.Reader, want)
			})
		}
	}
}

func TestHoldRefusesByTheLengthAlone(t *testing.T) {
	if _, err := Hold(mustNotRead{t}, 11, Limits{Size: 10}); err != ErrTooLarge {
		t.Errorf("error is %v", err)
	}
}

type mustNotRead struct{ t *testing.T }

func (r mustNotRead) Read([]byte) (int, error) {
	r.t.Error("the body was read")
	return 0, io.EOF
}

func TestHoldRefusesAtTheFirstByteTooMany(t *testing.T) {
	for _, memory := range []int64{0, 1 << 20} {
		l := limits(t)
		l.Memory, l.Size = memory, 100_000
		endless := &counter{Reader: iotest.OneByteReader(zeros{})}
		if _, err := Hold(endless, -1, l); err != ErrTooLarge || endless.n != 100_001 {
			t.Errorf("after %d bytes: %v", endless.n, err)
		}
		b, err := Hold(io.LimitReader(zeros{}, 100_000), -1, l)
		if err != nil {
			t.Errorf("what just fits: %v", err)
		}
		b.Close()
	}
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) { clear(p); return len(p), nil }

type counter struct {
	io.Reader
	n int
}

func (c *counter) Read(p []byte) (int, error) {
	n, err := c.Reader.Read(p)
	c.n += n
	return n, err
}

func TestHoldTellsHowABodyBroke(t *testing.T) {
	gone := errors.New("connection reset")
	for name, c := range map[string]struct {
		src    io.Reader
		length int64
		want   error
	}{
		"broken off":   {io.MultiReader(strings.NewReader("abc"), iotest.ErrReader(gone)), 10, gone},
		"while chunks": {io.MultiReader(strings.NewReader("abc"), iotest.ErrReader(gone)), -1, gone},
		"too short":    {strings.NewReader("abc"), 10, io.ErrUnexpectedEOF},
		"too long":     {strings.NewReader("abc"), 2, errLonger},
	} {
		if b, err := Hold(c.src, c.length, limits(t)); b != nil || !errors.Is(err, c.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestRequest(t *testing.T) {
	fields := exchange.Header{{Name: "X-Sum", Value: "1"}}
	for _, c := range []struct {
		name    string
		length  int64
		trailer exchange.Header
		want    int64
	}{
		{"announced", 5, nil, 5},
		{"chunked", -1, nil, 5},
		{"chunked, with trailers", -1, fields, -1},
	} {
		r := &exchange.Request{
			ContentLength: c.length, Body: strings.NewReader("hello"),
			Trailer: func() exchange.Header { return c.trailer },
			Header:  exchange.Header{{Name: "Trailer", Value: "X-Sum"}},
		}
		b, err := Request(r, limits(t))
		if err != nil {
			t.Fatal(err)
		}
		if r.ContentLength != c.want || r.Header.Has("Trailer") != (r.ContentLength < 0 || c.length >= 0) {
			t.Errorf("%s: length is %d, header %v", c.name, r.ContentLength, r.Header)
		}
		if _, ok := r.Body.(io.Closer); ok {
			t.Error("who sends the request could close the body")
		}
		for range 2 {
			if got, err := io.ReadAll(r.Body); string(got) != "hello" || err != nil {
				t.Errorf("%s: body is %q, %v", c.name, got, err)
			}
			r.Body.(interface{ Rewind() }).Rewind()
		}
		b.Close()
	}
}

func TestRequestWithoutABodyCostsNothing(t *testing.T) {
	r := &exchange.Request{Body: mustNotRead{t}}
	b, err := Request(r, Limits{})
	if b != nil || err != nil || b.Close() != nil {
		t.Errorf("got %v, %v", b, err)
	}
}

func TestRequestIsLeftAsItWasWhenRefused(t *testing.T) {
	src := strings.NewReader("hello")
	r := &exchange.Request{ContentLength: -1, Body: src}
	if _, err := Request(r, Limits{Memory: 100, Size: 4}); err != ErrTooLarge {
		t.Errorf("error is %v", err)
	}
	if r.Body != src || r.ContentLength != -1 {
		t.Error("the request has changed")
	}
}

func TestBodyMayBeClosedTwice(t *testing.T) {
	b, _ := Hold(strings.NewReader("x"), 1, limits(t))
	b.Close()
	b.Close()
	one, _ := Hold(strings.NewReader("1"), 1, limits(t))
	two, _ := Hold(strings.NewReader("2"), 1, limits(t))
	if one == two {
		t.Error("one body for two requests")
	}
	one.Close()
	two.Close()
}

// Pooled memory never shows one body's bytes in another.
func TestBodiesDoNotMix(t *testing.T) {
	var all sync.WaitGroup
	l := limits(t)
	l.Memory = 20_000
	for i := range 8 {
		all.Go(func() {
			for round := range 50 {
				want := bytes.Repeat([]byte{byte(i*50 + round)}, 1+(i*50+round)*100)
				b, err := Hold(iotest.HalfReader(bytes.NewReader(want)), int64(len(want)), l)
				if err != nil {
					t.Error(err)
					return
				}
				if got, _ := io.ReadAll(b); !bytes.Equal(got, want) {
					t.Error("a body is not what was kept")
				}
				b.Close()
			}
		})
	}
	all.Wait()
}

func TestSmallBodiesDoNotAllocate(t *testing.T) {
	if raceEnabled {
		t.Skip("pools forget on purpose with the race detector")
	}
	for _, size := range []int{0, 100, smallChunk, mediumChunk, largeChunk, 1 << 20} {
		want := body(size)
		src := bytes.NewReader(want)
		l := limits(t)
		allocations := testing.AllocsPerRun(100, func() {
			src.Reset(want)
			b, err := Hold(src, int64(size), l)
			if err != nil {
				t.Fatal(err)
			}
			b.WriteTo(io.Discard)
			b.Close()
		})
		if allocations >= 1 {
			t.Errorf("%d bytes: %v allocations", size, allocations)
		}
	}
}
