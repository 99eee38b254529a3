package exchange

import "strings"

// Field is one header or trailer line. Name is as it came on the wire (HTTP/2
// and HTTP/3: lower case); names compare without case.
type Field struct {
	Name, Value string
}

// Header is a head's or trailer's fields in the order in which they came.
type Header []Field

// Get returns the first value of name, or the empty string.
func (h Header) Get(name string) string {
	for i := range h {
		if sameName(h[i].Name, name) {
			return h[i].Value
		}
	}
	return ""
}

// Has reports whether there is a field of that name.
func (h Header) Has(name string) bool {
	for i := range h {
		if sameName(h[i].Name, name) {
			return true
		}
	}
	return false
}

// Values returns all values of name, in order.
func (h Header) Values(name string) []string {
	var values []string
	for i := range h {
		if sameName(h[i].Name, name) {
			values = append(values, h[i].Value)
		}
	}
	return values
}

// Add appends a field.
func (h *Header) Add(name, value string) {
	*h = append(*h, Field{name, value})
}

// Set replaces the first field of that name, in its place and with the given
// spelling, and drops the others; without one it appends.
func (h *Header) Set(name, value string) {
	found := false
	kept := (*h)[:0]
	for _, f := range *h {
		if !sameName(f.Name, name) {
			kept = append(kept, f)
		} else if !found {
			found = true
			kept = append(kept, Field{name, value})
		}
	}
	*h = kept
	if !found {
		h.Add(name, value)
	}
}

// Del drops every field of that name.
func (h *Header) Del(name string) {
	kept := (*h)[:0]
	for _, f := range *h {
		if !sameName(f.Name, name) {
			kept = append(kept, f)
		}
	}
	*h = kept
}

// HasToken reports whether one of name's values, read as a comma-separated
// list, has the given element (RFC 9110, section 5.6.1).
func (h Header) HasToken(name, token string) bool {
	for i := range h {
		if sameName(h[i].Name, name) && hasToken(h[i].Value, token) {
			return true
		}
	}
	return false
}

func hasToken(list, token string) bool {
	for part := range strings.SplitSeq(list, ",") {
		if strings.EqualFold(strings.Trim(part, " \t"), token) {
			return true
		}
	}
	return false
}

func sameName(a, b string) bool {
	return len(a) == len(b) && strings.EqualFold(a, b)
}
