package service

import (
	"math"
	"time"
)

// A service may send again as many requests as it had in the last seconds,
// times a share, and a few more. So a pool that dies is not hit twice as hard,
// and a service that few people use has room all the same.
const (
	retryShare  = 0.2
	retryFloor  = 100 // in a window
	retryWindow = 10 * time.Second
)

// budget counts a service's requests, and what was sent again. Both fade: what
// is a window old counts a third. Counting a request needs no clock; those that
// came since the last look are taken as spread evenly.
type budget struct {
	looked time.Time
	seen   int     // requests since then
	recent float64 // requests before, faded
	spent  float64 // retries, faded
}

// take spends one retry, or reports that there is none left. The requests under
// way are recent, however long nobody has looked.
func (b *budget) take(now time.Time, underWay int) bool {
	b.fade(now)
	if b.spent+1 > retryFloor+retryShare*max(b.recent, float64(underWay)) {
		return false
	}
	b.spent++
	return true
}

func (b *budget) fade(now time.Time) {
	elapsed := now.Sub(b.looked)
	if elapsed <= 0 {
		b.recent += float64(b.seen)
		b.seen = 0
		return
	}
	windows := float64(elapsed) / float64(retryWindow)
	gone := -math.Expm1(-windows) // the share that fades
	left := 1 - gone
	b.recent = b.recent*left + float64(b.seen)*gone/windows
	b.spent *= left
	b.seen, b.looked = 0, now
}
