package http2

import "time"

// allowance is how often something may happen: a number at once, and so many a
// second on end.
type allowance struct {
	left, most int
	perSecond  int
	since      time.Time
}

func newAllowance(most, perSecond int) allowance {
	return allowance{left: most, most: most, perSecond: perSecond, since: time.Now()}
}

// spend takes one, if there is one left.
func (a *allowance) spend() bool {
	if a.left == 0 {
		a.refill(time.Now())
	}
	if a.left == 0 {
		return false
	}
	a.left--
	return true
}

func (a *allowance) refill(now time.Time) {
	elapsed := min(now.Sub(a.since), time.Minute)
	if n := int(elapsed * time.Duration(a.perSecond) / time.Second); n > 0 {
		a.earn(n)
		a.since = now
	}
}

func (a *allowance) earn(n int) { a.left = min(a.left+n, a.most) }
