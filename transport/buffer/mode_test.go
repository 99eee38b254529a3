package buffer

import (
	"testing"

	"kamal-proxy/transport/exchange"
)

func TestModeOf(t *testing.T) {
	for _, c := range []struct {
		name      string
		status    int
		length    int64
		kind      string
		buffering bool
		maxSize   int64
		want      Mode
	}{
		{"length known", 200, 10, "text/html", true, 0, Whole},
		{"length known, limited", 200, 10, "text/html", true, 5, Whole},
		{"length unknown", 200, -1, "text/html", true, 0, Streamed},
		{"length unknown, limited", 200, -1, "text/html", true, 5, Whole},
		{"an error page", 500, 10, "text/html", true, 0, Whole},
		{"no type", 200, -1, "", true, 0, Streamed},
		{"no body", 204, 0, "", true, 5, Direct},
		{"switched", 101, -1, "", true, 5, Direct},
		{"buffering off", 200, 10, "text/html", false, 5, Direct},
		{"buffering off, length unknown", 200, -1, "text/html", false, 5, Direct},
		{"events", 200, -1, "text/event-stream", true, 0, Direct},
		{"events, limited", 200, -1, "text/event-stream", true, 5, Direct},
		{"events, length known", 200, 10, "text/event-stream", true, 0, Direct},
		{"events with a charset", 200, -1, "Text/Event-Stream ; charset=utf-8", true, 5, Direct},
		{"nearly events", 200, -1, "text/event-streams", true, 0, Streamed},
	} {
		r := &exchange.Response{Status: c.status, ContentLength: c.length}
		if c.kind != "" {
			r.Header.Add("content-type", c.kind)
		}
		if got := ModeOf(r, c.buffering, c.maxSize); got != c.want {
			t.Errorf("%s: mode %d, want %d", c.name, got, c.want)
		}
	}
}
