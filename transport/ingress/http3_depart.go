package ingress

import (
	"context"
	"fmt"
	"time"
)

const (
	// handshakeTime is how long handshakes of a retired server may take. They are
	// not counted before they are made.
	handshakeTime = time.Second
	// cutTimeout is how long Shutdown waits for requests that it has cut off.
	cutTimeout = 500 * time.Millisecond
)

// Retire begins the departure of a server that has a successor, to which new
// clients' packets go. Handshakes under way have a second. Then clients are told
// to go (GOAWAY, RFC 9114, section 5.2): what they ask for on these connections
// before they know is refused in a way that tells them to ask again. Requests
// under way are served; connections without any are closed after 5 s. Retire does
// not wait for any of that: see Shutdown.
func (h *HTTP3) Retire() {
	h.retiring.Do(func() {
		h.retired.Store(true)
		h.sessions.drain(retireQuiet)
		time.AfterFunc(handshakeTime, h.depart)
	})
}

// Shutdown lets nobody in any more, tells clients to go, and waits for their
// requests to end. Those that have not when ctx ends are cut off, and the error
// says so. After a Retire it lets the handshakes have their second.
func (h *HTTP3) Shutdown(ctx context.Context) error {
	if h.retired.Load() {
		select {
		case <-h.open.Done():
		case <-ctx.Done():
		}
	}
	h.depart()
	h.sessions.drain(farewell)
	err := h.wait(ctx)
	h.complaints.close()
	h.end.Do(func() { close(h.ended) })
	return err
}

// depart closes the door, once, and has the connections go.
func (h *HTTP3) depart() {
	h.departing.Do(func() {
		h.mu.Lock()
		h.leave()
		h.mu.Unlock()
		h.serving.Wait()
		go func() {
			h.server.Shutdown(h.whole)
			close(h.gone)
		}()
	})
}

func (h *HTTP3) wait(ctx context.Context) error {
	defer h.cut()
	select {
	case <-h.gone:
		return nil
	case <-ctx.Done():
	}
	h.cut()
	select {
	case <-h.gone:
	case <-time.After(cutTimeout):
	}
	return fmt.Errorf("HTTP/3 requests that were still open when the time to shut down was up have been cut off: %w", context.Cause(ctx))
}
