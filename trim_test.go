package main

import (
	"runtime/debug"
	"testing"
)

func TestTrimmingRestsWhenItIsInVain(t *testing.T) {
	const large = 10 * trimFrom
	var plan trimming
	visits := func(looks int, after uint64) (n int) {
		for range looks {
			if plan.due(large) {
				n++
				plan.freed(large, after)
			}
		}
		return n
	}
	if n := visits(10, large/2); n != 10 {
		t.Errorf("while it frees much it trims %d of 10 times", n)
	}
	if n := visits(100, large); n < 100/(trimRests+1) || n > 12 {
		t.Errorf("in vain it trims %d of 100 times", n)
	}
	if n := visits(trimRests+1, 0); n == 0 {
		t.Error("it does not look any more")
	}
	if n := visits(10, 0); n != 10 {
		t.Errorf("when it is worth it again it trims %d of 10 times", n)
	}
	if plan.due(trimFrom - 1) {
		t.Error("it trims next to nothing")
	}
}

func TestResidentHeapFollowsWhatIsAllocated(t *testing.T) {
	debug.FreeOSMemory() // or the block may take the place of what is garbage
	before := residentHeap()
	block := make([]byte, 64<<20)
	for i := range block {
		block[i] = 1
	}
	if grown := residentHeap() - before; grown < 60<<20 {
		t.Errorf("64 MiB more are %d bytes", grown)
	}
	_ = block[0]
}
