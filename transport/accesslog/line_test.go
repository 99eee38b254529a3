package accesslog

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"kamal-proxy/transport/exchange"
)

// Whatever clients send, a line is JSON, and says what they sent.
func FuzzLine(f *testing.F) {
	for _, text := range []string{"", "plain", `a"b\c`, "\x00\n\r\t\b\f\x1f\x7f", "ü\u2028\U0001F600", "\xff\xc3\x28", "</script>\ufffd"} {
		f.Add(text, int64(len(text)))
	}
	f.Fuzz(func(t *testing.T, text string, n int64) {
		e := &Entry{Started: time.Unix(1e9, 5).UTC(), Duration: time.Duration(n), Path: text, Host: text, ReqContentLength: n,
			Headers: []exchange.Field{{Name: "req_x", Value: text}}}
		line := appendLine(nil, e)
		if at := strings.IndexByte(string(line), '\n'); at != len(line)-1 {
			t.Fatalf("the line ends at %d of %d", at, len(line))
		}
		var got map[string]any
		if err := json.Unmarshal(line, &got); err != nil {
			t.Fatalf("%v: %s", err, line)
		}
		want := strings.Clone(text)
		if b, err := json.Marshal(text); err == nil {
			json.Unmarshal(b, &want) // what is not UTF-8 is replaced
		}
		for _, key := range []string{"path", "host", "req_x"} {
			if got[key] != want {
				t.Errorf("%s is %q, want %q", key, got[key], want)
			}
		}
	})
}
