package ingress

import (
	"cmp"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/rs/zerolog"
)

// complaintsInterval is how often failed handshakes are summed up.
const complaintsInterval = time.Minute

// complaints takes failed handshakes, and the lines that net/http logs. They are
// about what clients do, and anybody can cause them at any rate: they are told at
// level DEBUG, and failed TLS handshakes are summed up once a minute.
type complaints struct {
	log   zerolog.Logger
	about string // what failed; empty: TLS handshakes
	total atomic.Uint64

	mu     sync.Mutex
	failed int    // handshakes since the last summary
	last   string // of them
	timer  *time.Timer
	closed bool
}

// Write takes one line of net/http's log.
func (c *complaints) Write(line []byte) (int, error) {
	c.log.Debug().Str("error", strings.TrimSpace(string(line))).Msg("Connection failed")
	return len(line), nil
}

// handshake takes a failed handshake.
func (c *complaints) handshake(client string, err error) {
	c.log.Debug().Err(err).Str("client", client).Msg("TLS handshake failed")
	c.count(client + ": " + err.Error())
}

// add takes any other failure.
func (c *complaints) add(client string, err error) {
	c.log.Debug().Err(err).Str("client", client).Msg("Connection refused")
	c.count(client + ": " + err.Error())
}

func (c *complaints) count(text string) {
	c.total.Add(1)
	c.mu.Lock()
	defer c.mu.Unlock()
	c.failed++
	c.last = text
	if c.timer == nil && !c.closed {
		c.timer = time.AfterFunc(complaintsInterval, c.summarise)
	}
}

func (c *complaints) summarise() {
	c.mu.Lock()
	failed, last := c.failed, c.last
	c.failed, c.timer = 0, nil
	c.mu.Unlock()
	if failed > 0 {
		c.log.Info().Int("count", failed).Str("last", last).Msg(cmp.Or(c.about, "TLS handshakes failed"))
	}
}

// close tells what has not been summed up yet.
func (c *complaints) close() {
	c.mu.Lock()
	c.closed = true
	if c.timer != nil {
		c.timer.Stop()
	}
	c.mu.Unlock()
	c.summarise()
}

// FailedHandshakes returns how many there were.
func (s *Server) FailedHandshakes() uint64 { return s.complaints.total.Load() }

// FailedHandshakes returns how many failed for the want of a certificate. QUIC
// drops what is no handshake without a word.
func (h *HTTP3) FailedHandshakes() uint64 { return h.complaints.total.Load() }
