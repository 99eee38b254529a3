package proxy

import (
	"bytes"
	"encoding/binary"
	"math/rand/v2"
	"testing"
)

// frame is a WebSocket frame in full.
func frame(opcode byte, masked bool, payload int) []byte {
	f := []byte{0x80 | opcode, 0}
	switch {
	case payload < 126:
		f[1] = byte(payload)
	case payload < 1<<16:
		f[1] = 126
		f = binary.BigEndian.AppendUint16(f, uint16(payload))
	default:
		f[1] = 127
		f = binary.BigEndian.AppendUint64(f, uint64(payload))
	}
	if masked {
		f[1] |= 0x80
		f = append(f, 1, 2, 3, 4)
	}
	return append(f, bytes.Repeat([]byte{0x88}, payload)...) // looks like Close frames
}

func TestFramesAreFollowed(t *testing.T) {
	for _, payload := range []int{0, 1, 2, 125, 126, 127, 65535, 65536, 70000} {
		for _, masked := range []bool{false, true} {
			one := frame(0x2, masked, payload)
			stream := append(bytes.Clone(one), frame(0x9, masked, 3)...)
			var f frames
			if n := f.next(stream); n != len(one) || !f.between() {
				t.Errorf("a frame of %d bytes (masked: %v) ends after %d, want %d", payload, masked, n, len(one))
			}
			if n := f.next(stream[len(one):]); n != len(stream)-len(one) || !f.between() || f.closing {
				t.Errorf("the frame behind one of %d bytes (masked: %v) ends after %d", payload, masked, n)
			}
		}
	}
}

func TestFramesInPieces(t *testing.T) {
	var stream []byte
	ends := map[int]bool{0: true}
	for _, payload := range []int{0, 5, 126, 300, 0, 66000, 1} {
		stream = append(stream, frame(0x1, payload%2 == 0, payload)...)
		ends[len(stream)] = true
	}
	var f frames
	for i := range stream {
		if n := f.next(stream[i : i+1]); n != 1 {
			t.Fatalf("byte %d is taken %d times", i, n)
		}
		if f.between() != ends[i+1] {
			t.Fatalf("after byte %d it is between two frames: %v", i, f.between())
		}
	}
}

func TestCloseFramesAreSeen(t *testing.T) {
	var f frames
	f.follow(frame(0x9, true, 2))
	expect(t, "after a Ping", f.closing, false)
	f.follow(frame(0x8, true, 2)[:3])
	expect(t, "within a Close's head", f.closing, false)
	f.follow(frame(0x8, true, 2)[3:6])
	expect(t, "within a Close", f.closing, true)
	expect(t, "at its end", f.between(), false)
}

func TestGoingAwayFrames(t *testing.T) {
	if got := serverGoingAway(); !bytes.Equal(got, []byte{0x88, 0x02, 0x03, 0xe9}) {
		t.Errorf("a server's is % x", got)
	}
	keys := map[[4]byte]bool{}
	for range 20 {
		got := clientGoingAway()
		if len(got) != 8 || got[0] != 0x88 || got[1] != 0x82 || got[6]^got[2] != 0x03 || got[7]^got[3] != 0xe9 {
			t.Fatalf("a client's is % x", got)
		}
		keys[[4]byte(got[2:6])] = true
	}
	if len(keys) < 19 {
		t.Errorf("20 frames have %d different keys", len(keys))
	}
}

// FuzzFrames checks that what is given in pieces is followed as in one, and
// that every byte is taken once.
func FuzzFrames(f *testing.F) {
	f.Add(frame(1, true, 300), uint64(1))
	f.Add(frame(8, false, 2), uint64(2))
	f.Add([]byte{0x82, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1, 2, 3, 4, 5}, uint64(3))
	f.Fuzz(func(t *testing.T, stream []byte, seed uint64) {
		var whole, pieces frames
		whole.follow(stream)
		cuts := rand.New(rand.NewPCG(seed, 0))
		for rest := stream; len(rest) > 0; {
			n := 1 + cuts.IntN(len(rest))
			for piece := rest[:n]; len(piece) > 0; {
				taken := pieces.next(piece)
				if taken < 1 || taken > len(piece) {
					t.Fatalf("%d of %d bytes were taken", taken, len(piece))
				}
				if taken < len(piece) && !pieces.between() {
					t.Fatal("it stopped within a frame")
				}
				piece = piece[taken:]
			}
			rest = rest[n:]
		}
		if whole.have != pieces.have || whole.payload != pieces.payload || whole.closing != pieces.closing {
			t.Fatalf("in pieces it is %+v, in one %+v", pieces, whole)
		}
	})
}
