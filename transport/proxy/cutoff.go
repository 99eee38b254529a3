package proxy

import (
	"context"
	"io"
	"sync"

	"kamal-proxy/transport/exchange"
)

// cutoff is the way in which a service ends a request before it ends by itself.
// It is made anew for each request: a cut may come when the request is over, and
// must not meet another one then.
type cutoff struct {
	cancel context.CancelCauseFunc

	mu     sync.Mutex
	upload io.Closer         // a body that is being read from the client, or nil
	client exchange.Exchange // that is being written to, or nil
	spent  bool              // the target is done with the request
}

// cut ends the request, and wakes it where it waits for its client. It does
// not wait: a service calls it.
func (c *cutoff) cut(cause error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.spent {
		return
	}
	c.cancel(cause)
	if c.upload != nil {
		go c.upload.Close() // which may wait for a Read under way
	}
	if c.client != nil {
		c.client.Abort()
	}
}

// reading says that a client's body is being read; nil: not any more. What came
// before shows in the request's context.
func (c *cutoff) reading(body io.Reader) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.upload, _ = body.(io.Closer)
}

// writing says that a response is being written, while the target may have more
// of it.
func (c *cutoff) writing(x exchange.Exchange) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.client = x
}

// spend says that there is nothing to cut off any more. It may be called more
// than once, and on nil.
func (c *cutoff) spend() {
	if c == nil {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.spent = true
}
