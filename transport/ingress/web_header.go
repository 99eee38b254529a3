package ingress

import (
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"

	"kamal-proxy/transport/exchange"
)

// lists are the memory of one exchange's header lists.
type lists struct {
	fields exchange.Header // the request's
	values []string        // of a response's map: one piece for all its values
}

var pool = sync.Pool{New: func() any {
	return &lists{fields: make(exchange.Header, 0, 32), values: make([]string, 0, 32)}
}}

func takeLists() *lists { return pool.Get().(*lists) }

// give takes the request's list back, which may have grown.
func (l *lists) give(fields exchange.Header) {
	if cap(fields) > maxPooled || cap(l.values) > maxPooled {
		return
	}
	clear(fields[:cap(fields)])
	clear(l.values)
	l.fields, l.values = fields[:0], l.values[:0]
	pool.Put(l)
}

// fill puts copies of header's fields into net/http's map: it writes them later
// than Respond returns. What says how a message is framed is net/http's own to
// write.
func (l *lists) fill(h http.Header, header exchange.Header) {
	l.values = slices.Grow(l.values[:0], len(header))
	for _, f := range header {
		name, value := http.CanonicalHeaderKey(strings.Clone(f.Name)), strings.Clone(f.Value)
		switch name {
		case "Transfer-Encoding":
			continue
		case "Connection":
			if !strings.EqualFold(f.Value, "close") {
				continue
			}
		}
		if h[name] != nil {
			h[name] = append(h[name], value)
			continue
		}
		n := len(l.values)
		l.values = append(l.values, value)
		h[name] = l.values[n : n+1 : n+1]
	}
}

// frame says in h how long the body is, and keeps net/http from guessing.
func (e *webExchange) frame(h http.Header, status int, length int64) {
	switch {
	case status == http.StatusNotModified:
		// Go's own client takes a length there for a body cut short, and
		// net/http drops the type under its usual spelling.
		respell(h, "Content-Type")
		delete(h, "Content-Length")
	case status == http.StatusNoContent:
		delete(h, "Content-Length")
	case e.r.Method == http.MethodHead:
		if lengths := h["Content-Length"]; len(lengths) > 1 {
			h["Content-Length"] = lengths[:1]
		}
	case length >= 0:
		h["Content-Length"] = []string{strconv.FormatInt(length, 10)}
	default:
		delete(h, "Content-Length")
	}
	if _, ok := h["Content-Type"]; !ok {
		h["Content-Type"] = nil
	}
}

// respell moves a field's first value to the name in lower case.
func respell(h http.Header, name string) {
	if values := h[name]; len(values) > 0 {
		h[strings.ToLower(name)] = values[:1]
	}
	delete(h, name)
}

func bodyless(method string, status int) bool {
	return method == http.MethodHead || status == http.StatusNoContent || status == http.StatusNotModified
}

// mayTrail reports whether a field may be a trailer: none that frames or
// routes a message (RFC 9110, section 6.5.1).
func mayTrail(name string) bool {
	switch http.CanonicalHeaderKey(name) {
	case "Transfer-Encoding", "Content-Length", "Trailer", "Host", "Connection", "Content-Encoding", "Content-Type",
		"Content-Range", "Authorization", "Cookie", "Set-Cookie", "Keep-Alive", "Upgrade", "Te":
		return false
	}
	return true
}
