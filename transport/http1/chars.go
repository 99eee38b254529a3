package http1

import (
	"encoding/binary"
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

const alphanumeric = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"

// RFC 9110, section 5.6.2.
var tokenChars = chars(alphanumeric + "!#$%&'*+-.^_`|~")

func isToken[T string | []byte](s T) bool { return len(s) > 0 && only(s, &tokenChars) }

func only[T string | []byte](s T, set *charset) bool {
	for i := range len(s) {
		if !set[s[i]] {
			return false
		}
	}
	return true
}

// isTarget tells whether s can stand in a request line: no blank, no control.
func isTarget(s string) bool {
	return s != "" && strings.IndexByte(s, ' ') < 0 && strings.IndexByte(s, '\t') < 0 && isText(s)
}

// isText reports whether s is free of control characters but tabs (RFC 9110,
// section 5.5).
func isText(s string) bool {
	b := bytesOf(s)
	for ; len(b) >= 8; b = b[8:] {
		if hasControl(binary.LittleEndian.Uint64(b)) && !isTextSlow(b[:8]) {
			return false
		}
	}
	return isTextSlow(b)
}

// hasControl looks at eight bytes at once: is one below 0x20, or 0x7f?
func hasControl(x uint64) bool {
	const ones = 0x0101010101010101
	del := x ^ 0x7f*ones
	return ((x-0x20*ones)&^x|(del-ones)&^del)&(0x80*ones) != 0
}

func isTextSlow(b []byte) bool {
	for _, c := range b {
		if c < ' ' && c != '\t' || c == 0x7f {
			return false
		}
	}
	return true
}

func trimBlanks(s string) string {
	for s != "" && (s[0] == ' ' || s[0] == '\t') {
		s = s[1:]
	}
	for s != "" && (s[len(s)-1] == ' ' || s[len(s)-1] == '\t') {
		s = s[:len(s)-1]
	}
	return s
}

// stringOf is b without a copy: it holds as long as nobody writes to b.
func stringOf(b []byte) string { return unsafe.String(unsafe.SliceData(b), len(b)) }

func bytesOf(s string) []byte { return unsafe.Slice(unsafe.StringData(s), len(s)) }
