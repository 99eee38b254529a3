package http2

import (
	"fmt"
	"strconv"

	"kamal-proxy/transport/exchange"
)

// lawful refuses what would be malformed for the client.
func lawful(header exchange.Header) error {
	for i := range header {
		f := &header[i]
		if !isToken(f.Name) {
			return fmt.Errorf("the response cannot be sent: %q is not the name of a field", f.Name)
		}
		if !only(f.Value, &textChars) {
			return fmt.Errorf("the response cannot be sent: %s has a control character in its value", f.Name)
		}
	}
	return nil
}

// appendHead appends the fields of a final response: as they are given, but for
// what says how long the body is, and with a Date.
func (s *stream) appendHead(header exchange.Header) {
	c := s.conn
	c.out.pending = c.encoder.status(c.out.pending, s.status)
	c.appendFields(header)
	switch {
	case s.status == 304 || s.status == 204: // Go's client takes a length there for a body cut short
	case s.request.Method == "HEAD":
		if length := header.Get("Content-Length"); length != "" {
			c.out.pending = c.encoder.length(c.out.pending, []byte(length))
		}
	case s.length >= 0:
		var text [20]byte
		c.out.pending = c.encoder.length(c.out.pending, strconv.AppendInt(text[:0], s.length, 10))
	}
	if !header.Has("Date") {
		c.out.pending = c.encoder.field(c.out.pending, "date", c.server.clock.Date())
	}
	if c.config.AltSvc != "" && !header.Has("Alt-Svc") {
		c.out.pending = c.encoder.field(c.out.pending, "alt-svc", c.config.AltSvc)
	}
}

func (c *conn) appendFields(header exchange.Header) {
	for i := range header {
		if f := &header[i]; !isOurs(f.Name) {
			c.out.pending = c.encoder.field(c.out.pending, f.Name, trimmed(f.Value))
		}
	}
}

func (c *conn) appendTrailer(trailer exchange.Header) {
	for i := range trailer {
		if f := &trailer[i]; !headOnly(f.Name) {
			c.out.pending = c.encoder.field(c.out.pending, f.Name, trimmed(f.Value))
		}
	}
}

// trimmed is a value without the blanks at its ends, which HTTP/2 forbids.
func trimmed(s string) string {
	for s != "" && isBlank(s[0]) {
		s = s[1:]
	}
	for s != "" && isBlank(s[len(s)-1]) {
		s = s[:len(s)-1]
	}
	return s
}

// isOurs tells the fields that are about the connection or the message's length
// (RFC 9113, section 8.2.2).
func isOurs(name string) bool {
	switch len(name) {
	case 2:
		return equalFold(name, "TE")
	case 7:
		return equalFold(name, "Upgrade")
	case 10:
		return equalFold(name, "Connection") || equalFold(name, "Keep-Alive")
	case 14:
		return equalFold(name, "Content-Length")
	case 16:
		return equalFold(name, "Proxy-Connection")
	case 17:
		return equalFold(name, "Transfer-Encoding")
	}
	return false
}

// headOnly tells the fields that must not trail: they frame or route a message
// (RFC 9110, section 6.5.1).
func headOnly(name string) bool {
	if isOurs(name) {
		return true
	}
	for _, other := range [...]string{"Trailer", "Host", "Content-Encoding", "Content-Type", "Content-Range",
		"Authorization", "Cookie", "Set-Cookie"} {
		if equalFold(name, other) {
			return true
		}
	}
	return false
}

// mayTrail reports whether anything of a trailer may be sent.
func mayTrail(trailer exchange.Header) bool {
	for i := range trailer {
		if !headOnly(trailer[i].Name) {
			return true
		}
	}
	return false
}

// tooLargeCosts is as how many streams that were begun for nothing a head counts
// that is too large.
const tooLargeCosts = 5

// answer answers a request that no Handler sees. It counts as a stream that was
// begun for nothing.
func (c *conn) answer(id uint32, ended bool, status int) error {
	cost := 1
	if status == 431 {
		cost = tooLargeCosts
	}
	for range cost {
		if !c.resets.spend() {
			return &connError{enhanceYourCalm, "too many requests are refused"}
		}
	}
	c.server.config.Log.Debug().Int("status", status).Str("client", c.peer.Client.String()).Msg("Request refused")
	c.mu.Lock()
	defer c.mu.Unlock()
	c.control()
	start := c.beginHead()
	c.out.pending = c.encoder.status(c.out.pending, status)
	c.out.pending = c.encoder.length(c.out.pending, []byte{'0'})
	c.out.pending = c.encoder.field(c.out.pending, "date", c.server.clock.Date())
	c.endHead(start, id, flagEndStream)
	if !ended {
		c.left.add(id)
		c.out.pending = appendReset(c.out.pending, id, noError)
	}
	return nil
}
