package buffer

import (
	"net/http"
	"strings"

	"kamal-proxy/transport/exchange"
)

// Mode is how a response gets to its client.
type Mode int

const (
	// Direct: nothing is kept.
	Direct Mode = iota
	// Whole: the client gets nothing before the body has ended. See Hold.
	Whole
	// Streamed: what the client is too slow for is kept. See Stream.
	Streamed
)

// ModeOf tells a response's mode by its head. buffering and maxSize (bytes; 0:
// no limit) are the service's options for responses. A body of unknown length
// that has a limit is held, since afterwards nobody could take it back.
func ModeOf(r *exchange.Response, buffering bool, maxSize int64) Mode {
	switch {
	case !buffering, r.Status == http.StatusSwitchingProtocols, r.ContentLength == 0, isEventStream(r.Header.Get("Content-Type")):
		return Direct
	case r.ContentLength > 0, maxSize > 0:
		return Whole
	default:
		return Streamed
	}
}

func isEventStream(contentType string) bool {
	mediaType, _, _ := strings.Cut(contentType, ";")
	return strings.EqualFold(strings.Trim(mediaType, " \t"), "text/event-stream")
}
