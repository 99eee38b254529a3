package http2

import (
	"strings"
	"sync"

	"golang.org/x/net/http2/hpack"

	"kamal-proxy/transport/exchange"
)

const (
	tableSize        = 4096 // of the table that requests are compressed with
	continuationMost = 64   // frames that one head may come in
	maxPooled        = 256  // fields of a list that is kept
)

// head is the head or trailer at hand: first as bytes, then as fields.
type head struct {
	conn    *conn
	decoder *hpack.Decoder

	open      bool // CONTINUATION follows
	id        uint32
	ended     bool   // END_STREAM
	block     []byte // what has come, if it is not one frame
	parts     int
	dependent bool // on itself

	fields   exchange.Header
	size     int
	tooLarge bool
	flaw     string // why it is malformed; empty: it is not
	trailing bool   // it is a trailer
	facts
}

// facts are what the fields say about the request itself.
type facts struct {
	method, scheme, path, authority, host       string
	hasMethod, hasScheme, hasPath, hasAuthority bool
	hasHost, regular                            bool

	length     string
	hasLength  bool
	expects    bool
	cookie     int // the place of the first Cookie
	moreCrumbs []string
}

var lists = sync.Pool{New: func() any { return new(make(exchange.Header, 0, 32)) }}

func takeList() exchange.Header { return *lists.Get().(*exchange.Header) }

func giveList(list exchange.Header) {
	if cap(list) == 0 || cap(list) > maxPooled {
		return
	}
	clear(list[:cap(list)])
	list = list[:0]
	lists.Put(&list)
}

func (h *head) init(c *conn) {
	h.conn = c
	h.decoder = hpack.NewDecoder(tableSize, h.emit)
	h.decoder.SetMaxStringLength(2 * c.config.MaxHeaderBytes)
}

// anyField is a block without an effect: an entry of the static table.
var anyField = []byte{0x82}

// rest lets go of the last block: the decoder keeps hold of what it was given.
func (h *head) rest() {
	if !h.open {
		h.block = nil
		h.decoder.SetEmitEnabled(false)
		h.decoder.Write(anyField)
		h.decoder.Close()
	}
}

func (c *conn) receiveHeaders(f *frame) error {
	if f.stream%2 == 0 {
		return &connError{protocolError, "HEADERS for a stream that no client can begin"}
	}
	if err := f.unpad(); err != nil {
		return err
	}
	h := &c.head
	h.id, h.ended, h.dependent, h.parts, h.block = f.stream, f.has(flagEndStream), false, 0, h.block[:0]
	if f.has(flagPriority) {
		if len(f.payload) < 5 {
			return &connError{frameSizeError, "HEADERS are shorter than their priority"}
		}
		h.dependent = word(f.payload) == f.stream
		f.payload = f.payload[5:]
	}
	if f.has(flagEndHeaders) {
		return h.complete(f.payload)
	}
	h.open = true
	return h.keep(f)
}

func (c *conn) receiveContinuation(f *frame) error {
	h := &c.head
	if err := h.keep(f); err != nil {
		return err
	}
	if !f.has(flagEndHeaders) {
		return nil
	}
	h.open = false
	err := h.complete(h.block)
	if cap(h.block) > frameMost {
		h.block = nil
	}
	return err
}

// keep adds a part of the block. What is more than twice what we take is not
// even looked at.
func (h *head) keep(f *frame) error {
	h.parts++
	if h.parts > continuationMost || len(h.block)+len(f.payload) > 2*h.conn.config.MaxHeaderBytes {
		return &connError{enhanceYourCalm, "a head does not end"}
	}
	h.block = append(h.block, f.payload...)
	return nil
}

// complete decodes the block, whatever becomes of it: the table has to follow.
func (h *head) complete(block []byte) error {
	c := h.conn
	c.mu.Lock()
	h.trailing = c.streams[h.id] != nil
	c.mu.Unlock()
	h.fields, h.size, h.tooLarge, h.flaw, h.facts = takeList(), 0, false, "", facts{cookie: -1}
	defer func() {
		giveList(h.fields)
		h.fields = nil
	}()
	h.decoder.SetEmitEnabled(true)
	_, err := h.decoder.Write(block)
	if err == nil {
		err = h.decoder.Close()
	}
	if err != nil {
		return &connError{compressionError, err.Error()}
	}
	h.joinCrumbs()
	if h.dependent {
		h.flaw = "the stream depends on itself"
	}
	if h.trailing {
		return h.endRequest()
	}
	return h.beginRequest()
}

// emit takes a decoded field.
func (h *head) emit(f hpack.HeaderField) {
	h.size += len(f.Name) + len(f.Value) + 32
	switch {
	case h.size > h.conn.config.MaxHeaderBytes || len(h.fields) == h.conn.config.MaxFields:
		h.tooLarge = true
		h.decoder.SetEmitEnabled(false)
	case f.Name != "" && f.Name[0] == ':':
		h.takePseudo(f.Name, f.Value)
	default:
		h.take(f.Name, f.Value)
	}
}

// takePseudo takes a pseudo-header field (RFC 9113, section 8.3).
func (h *head) takePseudo(name, value string) {
	if h.trailing || h.regular {
		h.flaw = "a pseudo-header field is not at the beginning"
		return
	}
	switch name {
	case ":method":
		h.once(&h.hasMethod, &h.method, value)
	case ":scheme":
		h.once(&h.hasScheme, &h.scheme, value)
	case ":path":
		h.once(&h.hasPath, &h.path, value)
	case ":authority":
		h.once(&h.hasAuthority, &h.authority, value)
	default:
		h.flaw = "a pseudo-header field is not known"
	}
}

func (h *head) once(has *bool, field *string, value string) {
	if *has {
		h.flaw = "a field that can be given once is given twice"
	}
	*has, *field = true, value
}

// take takes any other field (section 8.2).
func (h *head) take(name, value string) {
	h.regular = true
	switch {
	case name == "" || !only(name, &nameChars):
		h.flaw = "a field has no valid name"
		return
	case !isValue(value):
		h.flaw = "a field has no valid value"
		return
	}
	switch name {
	case "connection", "keep-alive", "proxy-connection", "transfer-encoding", "upgrade":
		h.flaw = "a field is about the connection"
	case "te":
		if value != "trailers" {
			h.flaw = "TE says something else than trailers"
		}
	case "host":
		h.once(&h.hasHost, &h.host, value)
		return
	case "content-length":
		if h.hasLength && h.length != value {
			h.flaw = "there is more than one Content-Length"
		}
		h.hasLength, h.length = true, value
	case "expect":
		h.expects = h.expects || equalFold(value, "100-continue")
	case "cookie":
		if h.cookie >= 0 {
			h.moreCrumbs = append(h.moreCrumbs, value)
			return
		}
		h.cookie = len(h.fields)
	}
	h.fields = append(h.fields, exchange.Field{Name: name, Value: value})
}

// joinCrumbs makes one Cookie of all (section 8.2.3).
func (h *head) joinCrumbs() {
	if len(h.moreCrumbs) > 0 {
		first := &h.fields[h.cookie].Value
		*first += "; " + strings.Join(h.moreCrumbs, "; ")
	}
}

func (h *head) broken(reason string) error { return &streamError{h.id, protocolError, reason} }

// endRequest takes a trailer (section 8.1).
func (h *head) endRequest() error {
	c := h.conn
	c.mu.Lock()
	defer c.mu.Unlock()
	s := c.streams[h.id]
	switch {
	case s == nil: // it has ended meanwhile
		return nil
	case s.upload.ended:
		return &streamError{h.id, streamClosed, "HEADERS for a stream whose request has ended"}
	case !h.ended:
		return h.broken("a trailer does not end its stream")
	case h.flaw != "":
		return h.broken(h.flaw)
	case h.tooLarge:
		return &streamError{h.id, enhanceYourCalm, "a trailer is too large"}
	}
	s.upload.trailer = append(exchange.Header(nil), h.fields...)
	return s.receiveData(nil, 0, true)
}

// beginRequest begins a stream, if it can be one.
func (h *head) beginRequest() error {
	c := h.conn
	known, err := c.enroll(h.id)
	switch {
	case err != nil || !known:
		return err
	case h.flaw != "":
		return h.broken(h.flaw)
	case h.tooLarge:
		return c.answer(h.id, h.ended, 431)
	}
	length, flaw := h.contentLength()
	if flaw == "" {
		flaw = h.flawOfTarget()
	}
	if flaw != "" {
		return h.broken(flaw)
	}
	if status := h.refusal(); status != 0 {
		return c.answer(h.id, h.ended, status)
	}
	return c.begin(h, length)
}

// enroll notes that a stream begins. It returns false for one that is not to be
// looked at: it has ended before its client knew, or it came too late.
func (c *conn) enroll(id uint32) (bool, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case id > c.lastID:
		c.lastID = id
		return !c.refusing, nil
	case c.left.has(id), c.refusing && id > c.accepted:
		return false, nil
	case id == c.lastID:
		return false, &connError{streamClosed, "HEADERS for a stream that has ended"}
	}
	return false, &connError{protocolError, "a stream's number is not higher than those before"}
}
