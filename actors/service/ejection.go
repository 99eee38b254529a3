package service

import "time"

// What requests meet tells more of a target than its checks do.
const (
	// A target that fails so many requests in a row leaves the rotation, or
	// that fails half of at least so many within a window.
	ejectRow     = 5
	ejectSample  = 20
	ejectHalf    = 2
	ejectWindow  = 10 * time.Second
	ejectFirst   = 5 * time.Second // for so long, and each time twice as long,
	ejectLongest = time.Minute     // up to this
	// Who has served for so long since it came back has a clean sheet again.
	ejectForgiven = time.Minute
	returnStep    = time.Second // from one share of its turns to the next
)

// record is how the requests of a target went. A lone target has one, too: it
// is never taken out, but list says that it fails.
type record struct {
	row   int       // failures since the last answer
	since time.Time // when the first of these came
	last  string    // what the last one was

	asked, failed int       // within the window
	window        time.Time // its begin

	ejections int       // in a row
	until     time.Time // the last one's end
}

// answered notes an answer, whatever its status: the target is there.
func (r *record) answered() {
	r.row = 0
	r.asked++
}

// failure notes a request that was not answered, and reports whether the target
// keeps failing. The window begins with a failure, so that answers need no
// clock.
func (r *record) failure(now time.Time, why string) (keeps bool) {
	if now.Sub(r.window) > ejectWindow {
		r.window, r.asked, r.failed = now, 0, 0
	}
	if r.row == 0 {
		r.since = now
	}
	r.row++
	r.asked++
	r.failed++
	r.last = why
	return r.row >= ejectRow || r.asked >= ejectSample && r.failed*ejectHalf >= r.asked
}

// eject begins an ejection, and returns how long it is to last.
func (r *record) eject(now time.Time) time.Duration {
	if now.Sub(r.until) > ejectForgiven {
		r.ejections = 0
	}
	length := min(ejectFirst<<min(r.ejections, 10), ejectLongest)
	r.ejections++
	r.until = now.Add(length)
	r.window = time.Time{}
	return length
}
