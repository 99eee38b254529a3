package buffer

import "sync/atomic"

const (
	// defaultBudget is that of a process whose memory nobody has limited.
	defaultBudget = 256 << 20
	// alwaysInMemory is what each body may keep in memory whatever the others do:
	// most need no more, and no file.
	alwaysInMemory = mediumChunk
)

var (
	kept   atomic.Int64 // bytes of all bodies' chunks
	budget atomic.Int64
)

func init() { budget.Store(defaultBudget) }

// SetBudget says how many bytes of memory all bodies together may be kept in.
// Beyond it they go to their files sooner than their Limits say: many clients
// that take nothing of large responses are not to use up what there is.
func SetBudget(bytes int64) { budget.Store(bytes) }

// memoryLeft returns what a body with so many bytes in memory may still put
// there.
func (l *Limits) memoryLeft(have int64) int64 {
	most := l.Memory
	if kept.Load() >= budget.Load() {
		most = min(most, alwaysInMemory)
	}
	return max(0, most-have)
}
