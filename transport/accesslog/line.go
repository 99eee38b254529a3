package accesslog

import (
	"strconv"
	"time"
	"unicode/utf8"
)

// appendLine appends an Entry as a line of JSON. Its keys and their order are
// interface.
func appendLine(b []byte, e *Entry) []byte {
	b = append(b, `{"time":"`...)
	b = e.Started.Add(e.Duration).AppendFormat(b, time.RFC3339Nano)
	b = append(b, `","level":"INFO","msg":"Request","host":`...)
	b = appendString(b, e.Host)
	b = appendInt(append(b, `,"port":`...), int64(e.Port))
	b = appendString(append(b, `,"path":`...), e.Path)
	b = appendString(append(b, `,"request_id":`...), e.RequestID)
	b = appendInt(append(b, `,"status":`...), int64(e.Status))
	b = appendString(append(b, `,"service":`...), e.Service)
	b = appendString(append(b, `,"target":`...), e.Target)
	b = appendInt(append(b, `,"duration":`...), int64(e.Duration))
	b = appendString(append(b, `,"method":`...), e.Method)
	b = appendInt(append(b, `,"req_content_length":`...), e.ReqContentLength)
	b = appendString(append(b, `,"req_content_type":`...), e.ReqContentType)
	b = appendInt(append(b, `,"resp_content_length":`...), e.RespContentLength)
	b = appendString(append(b, `,"resp_content_type":`...), e.RespContentType)
	b = appendString(append(b, `,"client_addr":`...), e.ClientAddr)
	b = appendString(append(b, `,"client_port":`...), e.ClientPort)
	b = appendString(append(b, `,"remote_addr":`...), e.RemoteAddr)
	b = appendString(append(b, `,"user_agent":`...), e.UserAgent)
	b = appendString(append(b, `,"proto":`...), e.Proto)
	b = appendString(append(b, `,"scheme":`...), e.Scheme)
	b = appendString(append(b, `,"query":`...), e.Query)
	for i := range e.Headers {
		b = appendString(append(b, ','), e.Headers[i].Name)
		b = appendString(append(b, ':'), e.Headers[i].Value)
	}
	return append(b, '}', '\n')
}

func appendInt(b []byte, n int64) []byte { return strconv.AppendInt(b, n, 10) }

// plain are the bytes that stand for themselves in a JSON string.
var plain = func() (set [256]bool) {
	for c := ' '; c < utf8.RuneSelf; c++ {
		set[c] = c != '"' && c != '\\'
	}
	return set
}()

// appendString appends s as a JSON string; what is not UTF-8 in it becomes
// U+FFFD.
func appendString(b []byte, s string) []byte {
	b = append(b, '"')
	start := 0 // of what was not appended yet
	for i := 0; i < len(s); {
		if plain[s[i]] {
			i++
			continue
		}
		r, size := utf8.DecodeRuneInString(s[i:])
		if r >= utf8.RuneSelf && !(r == utf8.RuneError && size == 1) {
			i += size
			continue
		}
		b = appendEscape(append(b, s[start:i]...), r)
		i += size
		start = i
	}
	return append(append(b, s[start:]...), '"')
}

func appendEscape(b []byte, r rune) []byte {
	const digits = "0123456789abcdef"
	switch r {
	case '"', '\\':
		return append(b, '\\', byte(r))
	case '\n':
		return append(b, `\n`...)
	case '\r':
		return append(b, `\r`...)
	case '\t':
		return append(b, `\t`...)
	case '\b':
		return append(b, `\b`...)
	case '\f':
		return append(b, `\f`...)
	case utf8.RuneError:
		return append(b, `\ufffd`...)
	}
	return append(b, '\\', 'u', '0', '0', digits[r>>4&0xf], digits[r&0xf])
}
