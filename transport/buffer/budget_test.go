package buffer

import (
	"bytes"
	"io"
	"strings"
	"testing"
)

// Beyond the budget a body goes to its file, but for its first bytes, and is
// read back whole; memory is counted back when it closes.
func TestBeyondTheBudgetBodiesGoToTheirFiles(t *testing.T) {
	before := kept.Load()
	SetBudget(before + 100<<10)
	defer SetBudget(defaultBudget)
	text := strings.Repeat("0123456789abcdef", 20<<10) // 320 KiB
	limits := Limits{Memory: 1 << 20, Dir: t.TempDir()}
	var bodies []*Body
	for range 4 {
		b, err := Hold(strings.NewReader(text), -1, limits)
		if err != nil {
			t.Fatal(err)
		}
		bodies = append(bodies, b)
	}
	if most := kept.Load() - before; most > 100<<10+largeChunk+4*alwaysInMemory {
		t.Errorf("%d bytes are in memory", most)
	}
	for i, b := range bodies {
		if b.spool.memory.size == 0 {
			t.Errorf("body %d has nothing in memory", i)
		}
		if got, err := io.ReadAll(&b.Reader); string(got) != text || err != nil {
			t.Errorf("body %d has %d bytes, %v", i, len(got), err)
		}
		b.Close()
	}
	if kept.Load() != before {
		t.Errorf("%d bytes are counted that nobody has", kept.Load()-before)
	}
}

// What has begun to go to a file goes on there when memory is free again: bytes
// keep their order.
func TestASpoolDoesNotReturnToMemory(t *testing.T) {
	before := kept.Load()
	SetBudget(before)
	defer SetBudget(defaultBudget)
	s := newSpool(Limits{Memory: 1 << 20, Dir: t.TempDir()})
	defer s.Close()
	first, second := bytes.Repeat([]byte("a"), 2*alwaysInMemory), []byte("b")
	s.Write(first)
	SetBudget(defaultBudget)
	s.Write(second)
	if got, err := io.ReadAll(s.Reader()); string(got) != string(first)+"b" || err != nil {
		t.Errorf("%d bytes, %v", len(got), err)
	}
}
