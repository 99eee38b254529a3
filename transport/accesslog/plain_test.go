package accesslog

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"
	"time"
	"unicode"
	"unicode/utf8"

	"kamal-proxy/transport/exchange"
)

// Whatever clients and targets say, a line stays one line of JSON, and has
// nothing that a terminal obeys.
func TestNothingThatIsLoggedLeavesItsPlace(t *testing.T) {
	odd := []string{
		"\n{\"level\":\"ERROR\"}\n", "\r\n", "\x1b[2J\x1b]0;title\a", "\u009b2J", "\u0085next", "\u2028next\u2029", "\u202egnp.exe", "\u2066x\u2069",
		"\x9b2J", "\xc2", "\xe2\x80", "\xff\xfe", "\x00", "\x7f", `","status":200,"x":"`, `\`, "é漢字🎉â€", strings.Repeat("\u009b", 1000), "\u200e\u200f", "\u00a0\u00ad",
	}
	for _, s := range odd {
		var out bytes.Buffer
		l := New(&out)
		l.Log(&Entry{
			Started: time.Now(), Host: s, Path: s, RequestID: s, Service: s, Target: s, Method: s, ReqContentType: s, RespContentType: s,
			ClientAddr: s, ClientPort: s, RemoteAddr: s, UserAgent: s, Proto: s, Scheme: s, Query: s,
			Headers: []exchange.Field{{Name: s, Value: s}},
		})
		l.Close()
		line, ended := strings.CutSuffix(out.String(), "\n")
		var fields map[string]any
		if err := json.Unmarshal([]byte(line), &fields); err != nil || !ended {
			t.Fatalf("%q: %v in %q", s, err, line)
		}
		want := strings.ToValidUTF8(s, "\ufffd")
		if got := fields["user_agent"].(string); utf8.ValidString(s) && got != want {
			t.Errorf("%q is logged as %q", s, got)
		}
		if fields["status"] != 0.0 || fields["level"] != "INFO" {
			t.Errorf("%q changes other fields: %q", s, line)
		}
		if i := strings.IndexFunc(line, func(r rune) bool {
			return unicode.In(r, unicode.Cc, unicode.Zl, unicode.Zp, unicode.Bidi_Control)
		}); i >= 0 || !utf8.ValidString(line) {
			t.Errorf("%q is in the log as it is: %q", s, line)
		}
	}
}

func TestOrdinaryLinesAreCopied(t *testing.T) {
	for _, line := range []string{"", "{}\n", "{\"a\":\"é漢字🎉\"}\n{\"b\":\"“quoted”\"}\n", "{\"a\":\"\u00a0\"}\n"} {
		if got := string(appendPlain([]byte("x"), []byte(line))); got != "x"+line {
			t.Errorf("%q became %q", line, got)
		}
	}
}

func BenchmarkPlain(b *testing.B) {
	line := []byte(strings.Repeat("x", 620) + "\n")
	dst := make([]byte, 0, 1024)
	for b.Loop() {
		dst = appendPlain(dst[:0], line)
	}
}
