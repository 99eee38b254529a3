package http1

import (
	"bytes"
	"strings"

	"kamal-proxy/transport/exchange"
)

// facts are what the fields of a head say about the message itself.
type facts struct {
	host            string
	hosts           int
	length          string // of Content-Length, as it came
	lengths         int
	codings         coding
	upgrade         string
	connectUpgrade  bool
	connectClose    bool
	connectKeep     bool
	expectsContinue bool
	keepAlive       bool
}

// parse adds the fields of a section, up to its empty line, to header;
// Host goes to the facts instead if it is asked for.
func (f *facts) parse(section []byte, header *exchange.Header, limit int, takeHost bool) *Error {
	for n := 0; len(section) > 2; n++ {
		if n == limit {
			return errFields
		}
		i := bytes.IndexByte(section, '\n')
		name, value, err := parseField(section[:i-1])
		if err != nil {
			return err
		}
		section = section[i+1:]
		if err := f.note(name, value); err != nil {
			return err
		}
		if takeHost && len(name) == 4 && strings.EqualFold(name, "Host") {
			continue
		}
		*header = append(*header, exchange.Field{Name: name, Value: value})
	}
	return nil
}

// parseField splits a line (RFC 9112, section 5).
func parseField(line []byte) (name, value string, err *Error) {
	colon := 0
	for colon < len(line) && tokenChars[line[colon]] {
		colon++
	}
	if colon == 0 || colon == len(line) || line[colon] != ':' {
		return "", "", badName(line, colon)
	}
	value = trimBlanks(stringOf(line[colon+1:]))
	if !isText(value) {
		return "", "", errValue
	}
	return stringOf(line[:colon]), value, nil
}

// badName says what is wrong with a line whose name ends at i, and not with a
// colon.
func badName(line []byte, i int) *Error {
	switch {
	case i == len(line):
		return errName
	case line[i] != ' ' && line[i] != '\t':
		return errName
	case i == 0:
		return errFold
	default:
		return errBlank
	}
}

// note keeps what a field says about the message.
func (f *facts) note(name, value string) *Error {
	switch len(name) {
	case len("Host"):
		if strings.EqualFold(name, "Host") {
			f.host, f.hosts = value, f.hosts+1
		}
	case len("Expect"):
		if strings.EqualFold(name, "Expect") && lists(value, "100-continue") {
			f.expectsContinue = true
		}
	case len("Upgrade"):
		if strings.EqualFold(name, "Upgrade") && f.upgrade == "" {
			f.upgrade = value
		}
	case len("Connection"):
		if strings.EqualFold(name, "Connection") {
			f.noteConnection(value)
		}
	case len("Content-Length"):
		if strings.EqualFold(name, "Content-Length") {
			return f.noteLength(value)
		}
	case len("Transfer-Encoding"):
		if strings.EqualFold(name, "Transfer-Encoding") {
			f.codings = f.codings.then(value)
		}
	}
	return nil
}

func (f *facts) noteConnection(value string) {
	for more := true; more; {
		var option string
		option, value, more = strings.Cut(value, ",")
		switch option = trimBlanks(option); {
		case strings.EqualFold(option, "close"):
			f.connectClose = true
		case strings.EqualFold(option, "keep-alive"):
			f.connectKeep = true
		case strings.EqualFold(option, "upgrade"):
			f.connectUpgrade = true
		}
	}
}

// lists reports whether a list has an element, in whatever case.
func lists(list, element string) bool {
	for more := true; more; {
		var one string
		if one, list, more = strings.Cut(list, ","); strings.EqualFold(trimBlanks(one), element) {
			return true
		}
	}
	return false
}

func (f *facts) noteLength(value string) *Error {
	if f.lengths > 0 && value != f.length {
		return errTwoLengths
	}
	f.length, f.lengths = value, f.lengths+1
	return nil
}

// persists decides on keep-alive (RFC 9112, section 9.3).
func (f *facts) persists(minor int) bool {
	return !f.connectClose && (minor >= 1 || f.connectKeep)
}
