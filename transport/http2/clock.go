package http2

import (
	"net/http"
	"sync/atomic"
	"time"
)

// clock makes the values of Date fields, once a second.
type clock struct{ now atomic.Pointer[stamp] }

type stamp struct {
	second int64
	text   string
}

func (c *clock) date() string {
	now := time.Now()
	if s := c.now.Load(); s != nil && s.second == now.Unix() {
		return s.text
	}
	s := &stamp{now.Unix(), now.UTC().Format(http.TimeFormat)}
	c.now.Store(s)
	return s.text
}
