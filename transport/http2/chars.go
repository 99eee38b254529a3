package http2

import (
	"math"
	"strings"
	"unsafe"
)

type charset [256]bool

func chars(list string) (set charset) {
	for i := range len(list) {
		set[list[i]] = true
	}
	return set
}

const (
	digits  = "0123456789"
	lower   = "abcdefghijklmnopqrstuvwxyz"
	upper   = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
	symbols = "!#$%&'*+-.^_`|~"
)

var (
	// RFC 9110, section 5.6.2.
	tokenChars = chars(digits + lower + upper + symbols)
	// RFC 9113, section 8.2.1: names are tokens in lower case.
	nameChars = chars(digits + lower + symbols)
	// RFC 9110, section 5.5: no controls but tabs.
	textChars = func() (set charset) {
		for c := range set {
			set[c] = c >= ' ' && c != 0x7f || c == '\t'
		}
		return set
	}()
	// What can stand in a request line: no blank, no control.
	targetChars = func() charset {
		set := textChars
		set[' '], set['\t'] = false, false
		return set
	}()
)

func only(s string, set *charset) bool {
	for i := range len(s) {
		if !set[s[i]] {
			return false
		}
	}
	return true
}

func isToken(s string) bool { return s != "" && only(s, &tokenChars) }

// isValue tells a field's value: no control, no blank at either end (RFC 9113,
// section 8.2.1).
func isValue(s string) bool {
	if s == "" {
		return true
	}
	return !isBlank(s[0]) && !isBlank(s[len(s)-1]) && only(s, &textChars)
}

func isBlank(c byte) bool { return c == ' ' || c == '\t' }

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

// lowered writes name in lower case to room, or makes more.
func lowered(room []byte, name string) []byte {
	room = append(room[:0], name...)
	for i, c := range room {
		if 'A' <= c && c <= 'Z' {
			room[i] = c + ('a' - 'A')
		}
	}
	return room
}

// stringOf is b without a copy: it holds as long as nobody writes to b.
func stringOf(b []byte) string { return unsafe.String(unsafe.SliceData(b), len(b)) }

func equalFold(a, b string) bool { return len(a) == len(b) && strings.EqualFold(a, b) }
