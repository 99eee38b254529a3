package proxy

import (
	"crypto/rand"
	"encoding/hex"
	"strconv"
	"strings"
	"sync"

	"kamal-proxy/transport/exchange"
)

const (
	fieldRequestID    = "X-Request-ID"
	fieldRequestStart = "X-Request-Start"
)

// identify gives the request a name and the time of its arrival, unless
// something before us has, in a way that can be passed on.
func (v *visit) identify() {
	h := &v.request.Header
	id, several := requestIDOf(*h)
	if !soundRequestID(id) {
		var text [36]byte
		id = v.kept(appendRequestID(text[:0]))
		several = true
	}
	if several {
		h.Set(fieldRequestID, id)
	}
	v.entry.RequestID = id

	if v.stranger || h.Get(fieldRequestStart) == "" {
		var text [24]byte
		start := strconv.AppendInt(append(text[:0], "t="...), v.entry.Started.UnixMilli(), 10)
		h.Set(fieldRequestStart, v.kept(start))
	}
}

// requestIDOf returns the name that a request has come with, and whether it has
// been given several, of which the first counts.
func requestIDOf(h exchange.Header) (id string, several bool) {
	found := 0
	for i := range h {
		if len(h[i].Name) == len(fieldRequestID) && strings.EqualFold(h[i].Name, fieldRequestID) {
			if found++; found == 1 {
				id = h[i].Value
			}
		}
	}
	return id, found > 1
}

// maxRequestID is the longest name of a request, in bytes; Rails takes no more.
const maxRequestID = 255

// soundRequestID reports whether a name that a client has given to its request
// may be passed on, to be logged and printed by others: visible ASCII, but for
// what quotes, and begins or ends markup.
func soundRequestID(id string) bool {
	for i := range len(id) {
		switch c := id[i]; {
		case c <= ' ', c > '~', c == '"', c == '\'', c == '`', c == '\\', c == '<', c == '>':
			return false
		}
	}
	return id != "" && len(id) <= maxRequestID
}

// entropy is random bytes in store: asking the kernel for each request's 16
// would cost more than all the rest of its name.
type entropy struct {
	bytes [16 * 128]byte
	used  int
}

var entropies = sync.Pool{New: func() any { return &entropy{used: len(entropy{}.bytes)} }}

func (e *entropy) take(into []byte) {
	if e.used+len(into) > len(e.bytes) {
		rand.Read(e.bytes[:]) // never fails
		e.used = 0
	}
	taken := e.bytes[e.used : e.used+len(into)]
	copy(into, taken)
	clear(taken)
	e.used += len(into)
}

// appendRequestID appends a random UUID (RFC 9562, version 4).
func appendRequestID(text []byte) []byte {
	var id [16]byte
	e := entropies.Get().(*entropy)
	e.take(id[:])
	entropies.Put(e)
	id[6] = id[6]&0x0f | 0x40
	id[8] = id[8]&0x3f | 0x80

	text = append(hex.AppendEncode(text, id[0:4]), '-')
	text = append(hex.AppendEncode(text, id[4:6]), '-')
	text = append(hex.AppendEncode(text, id[6:8]), '-')
	text = append(hex.AppendEncode(text, id[8:10]), '-')
	return hex.AppendEncode(text, id[10:16])
}
