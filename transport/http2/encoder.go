package http2

import (
	"hash/maphash"
	"strings"

	"golang.org/x/net/http2/hpack"
)

// encoder compresses the heads of a connection's responses (RFC 7541), in the
// order in which they are sent. A field enters the table when it is met for the
// second time within a while: what is different in each response (a date, an
// id) costs no place there, and nothing is copied for it.
type encoder struct {
	table   []entry // the oldest first
	size    int     // of the table, as section 4.1 counts
	most    int     // that the peer allows, and we use
	least   int     // that it has allowed since the last block
	resized bool    // the peer is to be told
	seen    [64]uint32
	name    []byte // room for a name in lower case
}

type entry struct {
	hash        uint32
	name, value string
}

const (
	tableMost  = 4096
	staticSize = 61
	maxIndexed = 512 // bytes of a value worth a place
)

var seed = maphash.MakeSeed()

func (e *encoder) init() { e.most, e.least = tableMost, tableMost }

// allow takes the peer's SETTINGS_HEADER_TABLE_SIZE.
func (e *encoder) allow(size uint32) {
	most := int(min(size, tableMost))
	if most == e.most {
		return
	}
	e.most, e.least, e.resized = most, min(e.least, most), true
	e.evict(most)
}

// begin begins a block (section 4.2). A table that was smaller in between is
// begun anew: some decoders, x/net's among them, take a second change of its size
// only while it is empty.
func (e *encoder) begin(dst []byte) []byte {
	if !e.resized {
		return dst
	}
	if e.least < e.most {
		e.evict(0)
		dst = appendInt(dst, 0x20, 5, 0)
	}
	dst = appendInt(dst, 0x20, 5, e.most)
	e.resized, e.least = false, e.most
	return dst
}

// status appends the :status of a response.
func (e *encoder) status(dst []byte, status int) []byte {
	switch status {
	case 200:
		return append(dst, 0x80|8)
	case 204:
		return append(dst, 0x80|9)
	case 206:
		return append(dst, 0x80|10)
	case 304:
		return append(dst, 0x80|11)
	case 400:
		return append(dst, 0x80|12)
	case 404:
		return append(dst, 0x80|13)
	case 500:
		return append(dst, 0x80|14)
	}
	return append(dst, 8, 3, byte('0'+status/100), byte('0'+status/10%10), byte('0'+status%10))
}

// field appends a field. Its name goes out in lower case.
func (e *encoder) field(dst []byte, name, value string) []byte {
	e.name = lowered(e.name, name)
	place := int(staticNames[string(e.name)])
	hash := uint32(maphash.String(seed, value)) + uint32(place)*0x9e3779b1 + uint32(len(name))
	if i := e.find(hash, value); i > 0 {
		return appendInt(dst, 0x80, 7, i)
	}
	slot := &e.seen[hash%uint32(len(e.seen))]
	again := *slot == hash
	*slot = hash
	if !again || len(value) > maxIndexed || place == setCookie {
		return e.literal(dst, 0x00, 4, place, value)
	}
	dst = e.literal(dst, 0x40, 6, place, value)
	e.add(entry{hash, string(e.name), strings.Clone(value)})
	return dst
}

// length appends a Content-Length.
func (e *encoder) length(dst []byte, text []byte) []byte {
	dst = appendInt(dst, 0x00, 4, contentLength)
	return appendString(dst, stringOf(text))
}

// find returns the place of the field that has this value and the name at hand;
// 0: it has none.
func (e *encoder) find(hash uint32, value string) int {
	for i := len(e.table) - 1; i >= 0; i-- {
		if t := &e.table[i]; t.hash == hash && t.value == value && t.name == string(e.name) {
			return staticSize + len(e.table) - i
		}
	}
	return 0
}

func (e *encoder) literal(dst []byte, form byte, bits int, place int, value string) []byte {
	dst = appendInt(dst, form, bits, place)
	if place == 0 {
		dst = appendString(dst, stringOf(e.name))
	}
	return appendString(dst, value)
}

func (e *encoder) add(t entry) {
	size := t.size()
	if size > e.most { // section 4.4: nothing fits
		e.evict(0)
		return
	}
	e.evict(e.most - size)
	e.table = append(e.table, t)
	e.size += size
}

// evict makes the table no larger than most.
func (e *encoder) evict(most int) {
	for e.size > most {
		e.size -= e.table[0].size()
		e.table[0] = entry{}
		e.table = e.table[1:]
	}
}

func (t *entry) size() int { return len(t.name) + len(t.value) + 32 }

// appendInt appends an integer behind the bits of a form (section 5.1).
func appendInt(dst []byte, form byte, bits, n int) []byte {
	most := 1<<bits - 1
	if n < most {
		return append(dst, form|byte(n))
	}
	dst = append(dst, form|byte(most))
	for n -= most; n >= 0x80; n >>= 7 {
		dst = append(dst, 0x80|byte(n))
	}
	return append(dst, byte(n))
}

// appendString appends a string in its shorter form (section 5.2).
func appendString(dst []byte, s string) []byte {
	if n := int(hpack.HuffmanEncodeLength(s)); n < len(s) {
		return hpack.AppendHuffmanString(appendInt(dst, 0x80, 7, n), s)
	}
	return append(appendInt(dst, 0x00, 7, len(s)), s...)
}

const (
	contentLength = 28
	setCookie     = 55
)

// staticNames are the places of names in the static table (RFC 7541, appendix A).
var staticNames = func() map[string]byte {
	names := make(map[string]byte)
	for i, name := range strings.Fields(`accept-charset accept-encoding accept-language accept-ranges accept
		access-control-allow-origin age allow authorization cache-control content-disposition content-encoding
		content-language content-length content-location content-range content-type cookie date etag expect expires
		from host if-match if-modified-since if-none-match if-range if-unmodified-since last-modified link location
		max-forwards proxy-authenticate proxy-authorization range referer refresh retry-after server set-cookie
		strict-transport-security transfer-encoding user-agent vary via www-authenticate`) {
		names[name] = byte(15 + i)
	}
	return names
}()
