package accesslog

import (
	"bytes"
	"fmt"
	"unicode"
	"unicode/utf8"
)

// appendPlain appends lines of JSON. In their strings zerolog leaves all that is
// valid UTF-8 beyond ASCII as it came; here what terminals obey (C1 controls,
// such as U+009B, which begins their commands), what some readers take for the
// end of a line (U+2028), and what reverses what follows (U+202E) is escaped.
// They all begin with one of two bytes, which most lines do not have.
func appendPlain(dst, lines []byte) []byte {
	if bytes.IndexByte(lines, 0xc2) < 0 && bytes.IndexByte(lines, 0xe2) < 0 {
		return append(dst, lines...)
	}
	for len(lines) > 0 {
		r, n := utf8.DecodeRune(lines)
		if r >= utf8.RuneSelf && unicode.In(r, unicode.Cc, unicode.Zl, unicode.Zp, unicode.Bidi_Control) {
			dst = fmt.Appendf(dst, `\u%04x`, r)
		} else {
			dst = append(dst, lines[:n]...)
		}
		lines = lines[n:]
	}
	return dst
}
