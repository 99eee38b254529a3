// Package accesslog writes the log: a line for each request, and the process's
// own lines, all of them JSON.
package accesslog

import (
	"io"

	"github.com/rs/zerolog"
)

// Logger writes the access log. It may be used by many goroutines at once.
type Logger struct {
	log   zerolog.Logger
	owned *Writer // to be closed; nil: it is somebody else's
}

// New makes a Logger that writes to out in batches. If out is a Writer, its
// lines keep their place among those of others, and closing it is up to its
// owner.
func New(out io.Writer) *Logger {
	l := &Logger{}
	writer, ok := out.(*Writer)
	if !ok {
		writer = NewWriter(out)
		l.owned = writer
	}
	l.log = zerolog.New(batched{writer})
	return l
}

// Log writes the line of one request that is over.
func (l *Logger) Log(e *Entry) {
	line := l.log.Log().
		Time("time", e.Started.Add(e.Duration)).
		Str("level", "INFO").
		Str("msg", "Request").
		Str("host", e.Host).
		Int("port", e.Port).
		Str("path", e.Path).
		Str("request_id", e.RequestID).
		Int("status", e.Status).
		Str("service", e.Service).
		Str("target", e.Target).
		Int64("duration", int64(e.Duration)).
		Str("method", e.Method).
		Int64("req_content_length", e.ReqContentLength).
		Str("req_content_type", e.ReqContentType).
		Int64("resp_content_length", e.RespContentLength).
		Str("resp_content_type", e.RespContentType).
		Str("client_addr", e.ClientAddr).
		Str("client_port", e.ClientPort).
		Str("remote_addr", e.RemoteAddr).
		Str("user_agent", e.UserAgent).
		Str("proto", e.Proto).
		Str("scheme", e.Scheme).
		Str("query", e.Query)
	if e.Retries > 0 {
		line.Int("retries", e.Retries)
	}
	for i := range e.Headers {
		line.Str(e.Headers[i].Name, e.Headers[i].Value)
	}
	line.Send()
}

// Close writes what has not been written yet.
func (l *Logger) Close() error {
	if l.owned == nil {
		return nil
	}
	return l.owned.Close()
}
