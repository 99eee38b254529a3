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
		id = newRequestID()
		h.Set(fieldRequestID, id)
	}
	v.entry.RequestID = id

	if h.Get(fieldRequestStart) == "" {
		var text [24]byte
		start := strconv.AppendInt(append(text[:0], "t="...), v.entry.Started.UnixMilli(), 10)
		h.Set(fieldRequestStart, string(start))
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

// newRequestID returns a random UUID (RFC 9562, version 4).
func newRequestID() string {
	var id [16]byte
	e := entropies.Get().(*entropy)
	e.take(id[:])
	entropies.Put(e)
	id[6] = id[6]&0x0f | 0x40
	id[8] = id[8]&0x3f | 0x80

	var text [36]byte
	hex.Encode(text[0:8], id[0:4])
	hex.Encode(text[9:13], id[4:6])
	hex.Encode(text[14:18], id[6:8])
	hex.Encode(text[19:23], id[8:10])
	hex.Encode(text[24:36], id[10:16])
	text[8], text[13], text[18], text[23] = '-', '-', '-', '-'
	return string(text[:])
}
