package http1

import (
	"math"
	"strings"
)

// coding is what the Transfer-Encoding fields of a head come to.
type coding int

const (
	noCoding coding = iota
	chunked         // a single chunked
	unknownCoding
	badCoding
)

// then adds the codings of one more field.
func (c coding) then(value string) coding {
	for more := true; more; {
		var name string
		name, value, more = strings.Cut(value, ",")
		c = c.and(trimBlanks(name))
	}
	return c
}

func (c coding) and(name string) coding {
	bare, _, parameters := strings.Cut(name, ";")
	bare = trimBlanks(bare)
	isChunked := strings.EqualFold(bare, "chunked")
	switch {
	case c == badCoding, !isToken(bare), isChunked && parameters:
		return badCoding
	case c == chunked: // it must be the last, and applied once
		return badCoding
	case isChunked && c == noCoding:
		return chunked
	default:
		return unknownCoding
	}
}

// parseLength reads a Content-Length: digits only.
func parseLength(s string) (int64, bool) {
	var n int64
	for i := range len(s) {
		d := int64(s[i]) - '0'
		if d < 0 || d > 9 || n > (math.MaxInt64-d)/10 {
			return 0, false
		}
		n = n*10 + d
	}
	return n, s != ""
}

// framing is how the body is delimited, if there is one (RFC 9112, section
// 6.3). The length is 0 without a length, -1 if it is not known.
func (f *facts) framing(minor int) (kind bodyKind, length int64, err *Error) {
	switch {
	case f.codings != noCoding && f.lengths > 0:
		return 0, 0, errTwoFramings
	case f.codings != noCoding && minor == 0:
		return 0, 0, errOldCoding
	case f.codings == badCoding:
		return 0, 0, errCoding
	case f.codings == unknownCoding:
		return 0, 0, errNewCoding
	case f.codings == chunked:
		return chunkedBody, -1, nil
	case f.lengths == 0:
		return noBody, 0, nil
	}
	length, ok := parseLength(f.length)
	if !ok {
		return 0, 0, errLength
	}
	return lengthBody, length, nil
}
