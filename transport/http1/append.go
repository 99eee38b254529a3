package http1

import (
	"net/http"
	"strconv"
	"strings"

	"kamal-proxy/transport/exchange"
)

// ResponseHead is what a server says before a response's body.
type ResponseHead struct {
	Status int
	Header exchange.Header // what it says about framing and the connection is left out
	Length int64           // of the body in bytes; -1: not known
	NoBody bool            // it answers HEAD: Content-Length in Header stays as it is

	// ToHTTP10 says that the client speaks HTTP/1.0: it knows no chunks.
	ToHTTP10 bool
	// KeepAlive says that the connection is kept. It must be false where only
	// the connection's end can delimit the body: see Delimited.
	KeepAlive bool
	// Upgrade names the protocol of a 101.
	Upgrade string
}

// Delimited reports whether the client can tell the body's end while the
// connection stays open.
func (h *ResponseHead) Delimited() bool { return h.bodyKind() != closeBody }

func (h *ResponseHead) bodyKind() bodyKind {
	switch {
	case h.NoBody || bodiless(h.Status):
		return noBody
	case h.Length >= 0:
		return lengthBody
	case h.ToHTTP10:
		return closeBody
	default:
		return chunkedBody
	}
}

func bodiless(status int) bool { return status < 200 || status == 204 || status == 304 }

// AppendResponse appends a response's head. The error is about a field that
// could not be sent as it is.
func AppendResponse(dst []byte, h *ResponseHead) ([]byte, error) {
	kind := h.bodyKind()
	dst = append(dst, "HTTP/1.1 "...)
	dst = strconv.AppendInt(dst, int64(h.Status), 10)
	dst = append(dst, ' ')
	dst = append(dst, http.StatusText(h.Status)...)
	dst = append(dst, "\r\n"...)
	keepLength := h.Status == 304 || h.NoBody && !bodiless(h.Status)
	dst, err := appendFields(dst, h.Header, keepLength)
	if err != nil {
		return dst, err
	}
	switch kind {
	case lengthBody:
		dst = appendLength(dst, h.Length)
	case chunkedBody:
		dst = append(dst, "Transfer-Encoding: chunked\r\n"...)
	}
	switch {
	case h.Status == 101:
		if dst, err = appendUpgrade(dst, h.Upgrade); err != nil {
			return dst, err
		}
	case h.Status < 200:
	case !h.KeepAlive:
		dst = append(dst, "Connection: close\r\n"...)
	case h.ToHTTP10:
		dst = append(dst, "Connection: keep-alive\r\n"...)
	}
	return append(dst, "\r\n"...), nil
}

// AppendRequest appends the head of r: its fields in order, then what frames
// its body. Content-Length, Transfer-Encoding, Host and the connection's own
// fields in r.Header are left out. What cannot stand in a head is refused with
// an *Error: r may have come by a protocol that lets more through.
func AppendRequest(dst []byte, r *exchange.Request) ([]byte, error) {
	switch {
	case !isToken(r.Method):
		return dst, errMethod
	case !isTarget(r.Target):
		return dst, errTarget
	case !exchange.IsAuthority(r.Authority):
		return dst, errHost
	}
	dst = append(dst, r.Method...)
	dst = append(dst, ' ')
	dst = append(dst, r.Target...)
	dst = append(dst, " HTTP/1.1\r\nHost: "...)
	dst = append(dst, r.Authority...)
	dst = append(dst, "\r\n"...)
	dst, err := appendFields(dst, r.Header, false)
	if err != nil {
		return dst, err
	}
	switch {
	case r.ContentLength < 0:
		dst = append(dst, "Transfer-Encoding: chunked\r\n"...)
	case r.ContentLength > 0 || expectsBody(r.Method):
		dst = appendLength(dst, r.ContentLength)
	}
	if r.Upgrade != "" {
		if dst, err = appendUpgrade(dst, r.Upgrade); err != nil {
			return dst, err
		}
	}
	return append(dst, "\r\n"...), nil
}

// expectsBody tells the methods whose empty body is worth a Content-Length
// (RFC 9110, section 8.6).
func expectsBody(method string) bool {
	return method == "POST" || method == "PUT" || method == "PATCH"
}

func appendLength(dst []byte, length int64) []byte {
	dst = append(dst, "Content-Length: "...)
	dst = strconv.AppendInt(dst, length, 10)
	return append(dst, "\r\n"...)
}

func appendUpgrade(dst []byte, protocol string) ([]byte, error) {
	if !isText(protocol) {
		return dst, errValue
	}
	dst = append(dst, "Connection: Upgrade\r\nUpgrade: "...)
	dst = append(dst, protocol...)
	return append(dst, "\r\n"...), nil
}

// appendFields appends header but for what the codec itself says. A length that
// is kept is kept once.
func appendFields(dst []byte, header exchange.Header, keepLength bool) ([]byte, error) {
	for i := range header {
		f := &header[i]
		if isOurs(f.Name) {
			if !keepLength || len(f.Name) != len("Content-Length") {
				continue
			}
			keepLength = false
		}
		var err *Error
		if dst, err = appendField(dst, f); err != nil {
			return dst, err
		}
	}
	return dst, nil
}

func appendField(dst []byte, f *exchange.Field) ([]byte, *Error) {
	if !isToken(f.Name) {
		return dst, errName
	}
	if !isText(f.Value) {
		return dst, errValue
	}
	dst = append(dst, f.Name...)
	dst = append(dst, ": "...)
	dst = append(dst, f.Value...)
	return append(dst, "\r\n"...), nil
}

// isOurs tells the fields that are written from other facts than the header.
func isOurs(name string) bool {
	switch len(name) {
	case 4:
		return strings.EqualFold(name, "Host")
	case 7:
		return strings.EqualFold(name, "Upgrade")
	case 10:
		return strings.EqualFold(name, "Connection") || strings.EqualFold(name, "Keep-Alive")
	case 14:
		return strings.EqualFold(name, "Content-Length")
	case 16:
		return strings.EqualFold(name, "Proxy-Connection")
	case 17:
		return strings.EqualFold(name, "Transfer-Encoding")
	}
	return false
}

// AppendChunkSize appends the line before a chunk of n bytes, n > 0. CR LF
// follows the chunk.
func AppendChunkSize(dst []byte, n int) []byte {
	dst = strconv.AppendUint(dst, uint64(n), 16)
	return append(dst, "\r\n"...)
}

// AppendLastChunk appends what ends a chunked body. Fields that must not be
// trailers are left out (RFC 9110, section 6.5.1).
func AppendLastChunk(dst []byte, trailer exchange.Header) ([]byte, error) {
	dst = append(dst, "0\r\n"...)
	for i := range trailer {
		f := &trailer[i]
		if isOurs(f.Name) || strings.EqualFold(f.Name, "Trailer") || strings.EqualFold(f.Name, "TE") {
			continue
		}
		var err *Error
		if dst, err = appendField(dst, f); err != nil {
			return dst, err
		}
	}
	return append(dst, "\r\n"...), nil
}
