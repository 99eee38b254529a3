// Package clock tells the time as Date fields have it.
package clock

import (
	"net/http"
	"sync/atomic"
	"time"
)

// Clock makes the values of Date fields (RFC 9110, section 6.6.1), once a
// second. The zero Clock is ready; many goroutines may ask it at once.
type Clock struct{ now atomic.Pointer[stamp] }

type stamp struct {
	second int64
	text   string
}

// Date returns the present second in the form of HTTP.
func (c *Clock) Date() string {
	now := time.Now()
	if s := c.now.Load(); s != nil && s.second == now.Unix() {
		return s.text
	}
	s := &stamp{now.Unix(), now.UTC().Format(http.TimeFormat)}
	c.now.Store(s)
	return s.text
}
