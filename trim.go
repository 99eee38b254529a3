package main

import (
	"context"
	"runtime"
	"runtime/debug"
	"runtime/metrics"
	"time"
)

// What a burst has left behind, in pools and in heap that the collector has no
// reason to look at, would stay for minutes: the collector comes by every 2 of
// them when nothing happens, and pools let go at its second visit. So it is sent
// for while there is little to do and the heap is large.
const (
	trimInterval = 5 * time.Second
	trimFrom     = 12 << 20 // bytes of heap
	trimLoad     = 40       // percent of one processor
	trimRests    = 12       // the most intervals left out after one that was in vain
)

// trimMemory gives memory back that is not used any more, until ctx ends: within
// seconds after a burst, within about a minute where most of it was still in use
// at first.
func trimMemory(ctx context.Context) {
	ticker := time.NewTicker(trimInterval)
	defer ticker.Stop()
	var rests trimming
	used := processorTime()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
		before := used
		used = processorTime()
		if (used-before)*100 > trimLoad*trimInterval || !rests.due(residentHeap()) {
			continue
		}
		resident := residentHeap()
		runtime.GC()
		debug.FreeOSMemory() // which collects once more
		rests.freed(resident, residentHeap())
	}
}

// trimming decides when it is worth it.
type trimming struct{ left, next int }

// due reports whether it is time to trim a heap of that size.
func (t *trimming) due(resident uint64) bool {
	if resident < trimFrom {
		return false
	}
	t.left--
	return t.left < 0
}

// freed notes what came of it: less than an eighth was hardly worth it.
func (t *trimming) freed(before, after uint64) {
	if before-min(after, before) >= before/8 {
		t.next = 0
	} else {
		t.next = min(2*t.next+1, trimRests)
	}
	t.left = t.next
}

// residentHeap is the heap that the kernel has given and not got back.
func residentHeap() (n uint64) {
	sample := [...]metrics.Sample{
		{Name: "/memory/classes/heap/objects:bytes"},
		{Name: "/memory/classes/heap/unused:bytes"},
		{Name: "/memory/classes/heap/free:bytes"},
	}
	metrics.Read(sample[:])
	for _, s := range sample {
		n += s.Value.Uint64()
	}
	return n
}
