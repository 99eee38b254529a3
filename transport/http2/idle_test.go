package http2

import (
	"runtime"
	"testing"
)

// TestIdleConnectionsAreSmall has connections rest after a request, without
// their buffers and the goroutines of their requests.
func TestIdleConnectionsAreSmall(t *testing.T) {
	const connections, most = 100, 12 << 10 // bytes of each, the test's own side included
	s := serve(t, ok)
	memory := func() int {
		var stats runtime.MemStats
		for range 3 { // what is pooled goes in the second
			runtime.GC()
		}
		runtime.ReadMemStats(&stats)
		return int(stats.HeapAlloc)
	}
	before, goroutines := memory(), runtime.NumGoroutine()
	for range connections {
		c := s.dial(t)
		c.request(1, true, get...)
		c.answer(1)
	}
	eventually(t, "only their readers wait", func() bool { return runtime.NumGoroutine() <= goroutines+connections })
	if each := (memory() - before) / connections; each > most {
		t.Errorf("a connection takes %d bytes", each)
	}
	runtime.KeepAlive(s)
}
