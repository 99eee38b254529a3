package spec

import (
	"fmt"
	"strings"
	"unicode/utf8"
)

// WirePath returns a path as it stands in a request's target: what has no place
// there percent-encoded, all else as it is. What is kept is the path as it was
// given, since upstream reads it too.
func WirePath(path string) string {
	if strings.IndexFunc(path, func(r rune) bool { return r >= utf8.RuneSelf || !inTarget(byte(r)) }) < 0 {
		return path
	}
	var b strings.Builder
	for i := 0; i < len(path); i++ {
		if c := path[i]; inTarget(c) {
			b.WriteByte(c)
		} else {
			fmt.Fprintf(&b, "%%%02X", c)
		}
	}
	return b.String()
}

// inTarget reports whether c may stand in a request's target. A fragment has no
// place there.
func inTarget(c byte) bool { return c > ' ' && c < 0x7f && c != '#' }
