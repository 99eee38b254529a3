package proxy

import "kamal-proxy/transport/buffer"

// backlog is how much is kept of a response that its client is too slow for, in
// bytes. Then the target waits.
const backlog = 1 << 30

// stream passes a response on as it comes, and keeps what the client is too
// slow for. The target's part may end on another goroutine then, beside a write.
func (v *visit) stream() error {
	if err := v.expose(); err != nil {
		return err
	}
	return buffer.Stream{
		Body: v.response.Body, Client: v.x, Limits: v.limits(0), Backlog: backlog,
		Ended: v.ended, Stop: v.cutoff.stop,
	}.Relay()
}
