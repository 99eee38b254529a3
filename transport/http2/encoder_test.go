package http2

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"golang.org/x/net/http2/hpack"
)

// mirror encodes fields and decodes them again.
type mirror struct {
	*testing.T
	encoder encoder
	decoder *hpack.Decoder
	got     []hpack.HeaderField
}

func newMirror(t *testing.T) *mirror {
	m := &mirror{T: t}
	m.encoder.init()
	m.decoder = hpack.NewDecoder(tableMost, func(f hpack.HeaderField) { m.got = append(m.got, f) })
	return m
}

// pass returns how many bytes a block takes.
func (m *mirror) pass(status int, pairs ...string) int {
	m.Helper()
	block := m.encoder.status(m.encoder.begin(nil), status)
	for i := 0; i < len(pairs); i += 2 {
		block = m.encoder.field(block, pairs[i], pairs[i+1])
	}
	m.got = nil
	if _, err := m.decoder.Write(block); err != nil {
		m.Fatal(err)
	}
	if err := m.decoder.Close(); err != nil {
		m.Fatal(err)
	}
	if len(m.got) != 1+len(pairs)/2 || m.got[0].Value != fmt.Sprint(status) {
		m.Fatalf("got %v", m.got)
	}
	for i, f := range m.got[1:] {
		if f.Name != strings.ToLower(pairs[2*i]) || f.Value != pairs[2*i+1] {
			m.Fatalf("got %v, want %s: %s", f, pairs[2*i], pairs[2*i+1])
		}
	}
	return len(block)
}

func TestRepeatedFieldsTakeAByte(t *testing.T) {
	m := newMirror(t)
	for _, field := range [][]string{{"Content-Type", "text/html"}, {"X-Powered-By", "ours"}} { // one after the other: both may have one slot
		m.pass(200, field...)
		m.pass(200, field...)
	}
	if n := m.pass(200, "content-type", "text/html", "X-POWERED-BY", "ours"); n != 3 {
		t.Errorf("%d bytes", n)
	}
	for range 3 {
		m.pass(200, "set-cookie", "secret=1")
	}
	if len(m.encoder.table) != 2 {
		t.Errorf("the table has %v", m.encoder.table)
	}
}

func TestEncoderAgreesWithItsPeer(t *testing.T) {
	m := newMirror(t)
	random := rand.New(rand.NewPCG(1, 2))
	names := []string{"Content-Type", "x-a", "X-B", "server", "set-cookie", "etag", "x-" + strings.Repeat("long", 40)}
	for i := range 3000 {
		if i%50 == 0 {
			size := []uint32{0, 1, 64, 200, 4096, 1 << 20}[random.IntN(6)]
			m.encoder.allow(size)
			if i%100 == 0 {
				m.encoder.allow(4096)
			}
		}
		var pairs []string
		for range random.IntN(8) {
			pairs = append(pairs, names[random.IntN(len(names))], strings.Repeat("v", random.IntN(900)/(1+random.IntN(100)))+fmt.Sprint(random.IntN(9)))
		}
		m.pass(200+random.IntN(400), pairs...)
		if m.encoder.size > m.encoder.most {
			t.Fatalf("the table has %d bytes of %d", m.encoder.size, m.encoder.most)
		}
	}
}

func TestStaticNames(t *testing.T) {
	m := newMirror(t)
	for name, place := range staticNames {
		if place < 15 || place > staticSize {
			t.Errorf("%s has place %d", name, place)
		}
		if n := m.pass(200, name, ""); n > 4 {
			t.Errorf("%s takes %d bytes", name, n)
		}
	}
	if len(staticNames) != staticSize-14 {
		t.Errorf("%d names", len(staticNames))
	}
}

func FuzzEncoder(f *testing.F) {
	f.Add("Content-Type", "text/html", uint32(4096))
	f.Add("x", "\x00\xff", uint32(0))
	f.Fuzz(func(t *testing.T, name, value string, size uint32) {
		if name == "" {
			return
		}
		name = string(lowered(nil, name))
		m := newMirror(t)
		for range 3 {
			block := m.encoder.field(m.encoder.begin(nil), name, value)
			m.got = nil
			if _, err := m.decoder.Write(block); err != nil || m.decoder.Close() != nil {
				t.Fatal(err)
			}
			if len(m.got) != 1 || m.got[0].Name != name || m.got[0].Value != value {
				t.Fatalf("got %v", m.got)
			}
			m.encoder.allow(size)
		}
	})
}
