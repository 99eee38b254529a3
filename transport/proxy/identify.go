package proxy

import (
	"crypto/rand"
	"encoding/hex"
	"strconv"
	"sync"
)

const (
	fieldRequestID    = "X-Request-ID"
	fieldRequestStart = "X-Request-Start"
)

// identify gives the request a name and the time of its arrival, unless
// something before us has.
func (v *visit) identify() {
	h := &v.request.Header
	id := h.Get(fieldRequestID)
	if id == "" {
		var text [36]byte
		id = v.kept(appendRequestID(text[:0]))
		h.Set(fieldRequestID, id)
	}
	v.entry.RequestID = id

	if h.Get(fieldRequestStart) == "" {
		var text [24]byte
		start := strconv.AppendInt(append(text[:0], "t="...), v.entry.Started.UnixMilli(), 10)
		h.Set(fieldRequestStart, v.kept(start))
	}
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
