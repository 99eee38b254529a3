package accesslog

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rs/zerolog"

	"kamal-proxy/transport/exchange"
)

func entry() *Entry {
	return &Entry{
		Started:           time.Date(2026, 8, 1, 12, 0, 0, 123456789, time.UTC),
		Duration:          1500 * time.Nanosecond,
		Host:              "example.com",
		Port:              80,
		Path:              "/a b",
		RequestID:         "id",
		Status:            200,
		Service:           "web",
		Target:            "web:3000",
		Method:            "POST",
		ReqContentLength:  -1,
		ReqContentType:    "text/plain",
		RespContentLength: 12,
		RespContentType:   "text/html",
		ClientAddr:        "127.0.0.1",
		ClientPort:        "40000",
		RemoteAddr:        "203.0.113.9",
		UserAgent:         "curl",
		Proto:             "HTTP/1.1",
		Scheme:            "http",
		Query:             "q=a;b",
		Headers:           []exchange.Field{{Name: "req_x_y", Value: "1,2"}, {Name: "resp_z", Value: ""}},
	}
}

// written returns what log writes, once it is closed.
func written(t *testing.T, log func(*Logger)) string {
	t.Helper()
	var out bytes.Buffer
	l := New(&out)
	log(l)
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	return out.String()
}

func TestTheLine(t *testing.T) {
	const want = `{"time":"2026-08-01T12:00:00.123458289Z","level":"INFO","msg":"Request","host":"example.com","port":80,` +
		`"path":"/a b","request_id":"id","status":200,"service":"web","target":"web:3000","duration":1500,"method":"POST",` +
		`"req_content_length":-1,"req_content_type":"text/plain","resp_content_length":12,"resp_content_type":"text/html",` +
		`"client_addr":"127.0.0.1","client_port":"40000","remote_addr":"203.0.113.9","user_agent":"curl","proto":"HTTP/1.1",` +
		`"scheme":"http","query":"q=a;b","req_x_y":"1,2","resp_z":""}` + "\n"
	if got := written(t, func(l *Logger) { l.Log(entry()) }); got != want {
		t.Errorf("got  %swant %s", got, want)
	}
}

// Only a request that was sent again says so, behind all that dashboards know.
func TestRetriesAreLoggedWhereThereWereAny(t *testing.T) {
	for retries, want := range map[int]string{0: `"query":"","req_a":"b"}`, 2: `"query":"","retries":2,"req_a":"b"}`} {
		var out bytes.Buffer
		l := New(&out)
		l.Log(&Entry{Retries: retries, Headers: []exchange.Field{{Name: "req_a", Value: "b"}}})
		l.Close()
		if !strings.HasSuffix(strings.TrimSpace(out.String()), want) {
			t.Errorf("%d retries are logged as %s", retries, out.String())
		}
	}
}

func TestEmptyValuesAreWritten(t *testing.T) {
	got := written(t, func(l *Logger) { l.Log(&Entry{}) })
	for _, key := range strings.Fields("host path request_id service target method req_content_type resp_content_type client_addr client_port remote_addr user_agent proto scheme query") {
		if !strings.Contains(got, `"`+key+`":""`) {
			t.Errorf("no empty %s in %s", key, got)
		}
	}
}

func TestAnythingIsEscaped(t *testing.T) {
	nasty := "a\"b\\c\n\r\t\x00\x1b\x7f\xff\xfe\u2028é</script>"
	e := entry()
	e.UserAgent, e.Path, e.Headers = nasty, nasty, []exchange.Field{{Name: "req_x\"\n", Value: nasty}}
	got := written(t, func(l *Logger) { l.Log(e) })
	if strings.Count(got, "\n") != 1 {
		t.Fatalf("more than a line: %q", got)
	}
	var line map[string]any
	if err := json.Unmarshal([]byte(got), &line); err != nil {
		t.Fatalf("%v in %q", err, got)
	}
	want := strings.ToValidUTF8(strings.ReplaceAll(nasty, "\xff\xfe", "\xff \xfe"), "\uFFFD")
	want = strings.ReplaceAll(want, "\uFFFD \uFFFD", "\uFFFD\uFFFD")
	for _, key := range []string{"user_agent", "path", "req_x\"\n"} {
		if line[key] != want {
			t.Errorf("%s is %q, want %q", key, line[key], want)
		}
	}
}

// output is a pipe to a reader that may be slow, or broken.
type output struct {
	mu     sync.Mutex
	writes []string
	gate   chan struct{} // not nil: each write waits for it
	fail   func(p []byte) (int, error)
}

func (o *output) Write(p []byte) (int, error) {
	if o.gate != nil {
		<-o.gate
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.fail != nil {
		n, err := o.fail(p)
		o.writes = append(o.writes, string(p[:n]))
		return n, err
	}
	o.writes = append(o.writes, string(p))
	return len(p), nil
}

func (o *output) all() []string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return append([]string(nil), o.writes...)
}

func TestLinesAreBatchedInOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		out := &output{}
		w := NewWriter(out)
		defer w.Close()
		l := New(w)

		l.Log(entry())
		l.Log(entry())
		synctest.Wait()
		if n := len(out.all()); n != 0 {
			t.Fatalf("%d writes at once", n)
		}
		time.Sleep(batchDelay)
		synctest.Wait()
		if writes := out.all(); len(writes) != 1 || strings.Count(writes[0], "\n") != 2 {
			t.Fatalf("after the delay: %q", writes)
		}

		l.Log(entry())
		io.WriteString(w, "now\n")
		synctest.Wait()
		if writes := out.all(); len(writes) != 2 || !strings.HasSuffix(writes[1], "}\nnow\n") {
			t.Fatalf("an immediate line came as %q", writes)
		}

		for range batchSize/400 + 1 {
			l.Log(entry())
		}
		synctest.Wait()
		if writes := out.all(); len(writes) < 3 {
			t.Fatal("a full batch waits")
		}
		if err := l.Close(); err != nil { // the Writer is not the Logger's
			t.Fatal(err)
		}
		io.WriteString(w, "later\n")
		synctest.Wait()
		if writes := out.all(); !strings.HasSuffix(writes[len(writes)-1], "later\n") {
			t.Fatalf("after the Logger's Close: %q", writes)
		}
	})
}

func TestABlockedOutputHoldsNobodyUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		out := &output{gate: make(chan struct{})}
		w := NewWriter(out)
		line := strings.Repeat("x", 1<<16-1) + "\n"
		const lines = 200 // 12.5 MiB
		for range lines {
			io.WriteString(w, line)
		}
		close(out.gate)
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
		all := strings.Join(out.all(), "")
		kept := strings.Count(all, line)
		report := all[strings.LastIndex(strings.TrimSpace(all), "\n")+1:]
		var told struct {
			Level, Msg, Time string
			Lines            int
		}
		if err := json.Unmarshal([]byte(report), &told); err != nil {
			t.Fatalf("%v in %q", err, report)
		}
		if kept == 0 || kept+told.Lines != lines || told.Level != "ERROR" || told.Msg == "" || told.Time == "" {
			t.Errorf("%d lines kept, %+v", kept, told)
		}
		if lost := w.Lost(); lost != uint64(told.Lines) {
			t.Errorf("%d lines are counted as lost, %d reported", lost, told.Lines)
		}
	})
}

func TestCloseGivesUpOnABlockedOutput(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		out := &output{gate: make(chan struct{})}
		w := NewWriter(out)
		io.WriteString(w, "x\n")
		begun := time.Now()
		if err := w.Close(); !errors.Is(err, errBlocked) || time.Since(begun) != closeLimit {
			t.Errorf("%v after %v", err, time.Since(begun))
		}
		close(out.gate)
	})
}

func TestAFailedWriteIsToldAndSplitsNoOtherLine(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		failing := true
		out := &output{fail: func(p []byte) (int, error) {
			if failing {
				return min(6, len(p)), errors.New("no space left")
			}
			return len(p), nil
		}}
		w := NewWriter(out)
		io.WriteString(w, "one\ntwo\n")
		synctest.Wait()
		out.mu.Lock()
		failing = false
		out.mu.Unlock()
		io.WriteString(w, "three\n")
		w.Close()
		all := strings.Join(out.all(), "")
		if !strings.HasPrefix(all, "one\ntw\nthree\n{") || !strings.HasSuffix(all, `"error":"no space left","lines":1}`+"\n") {
			t.Errorf("got %q", all)
		}
		if lost := w.Lost(); lost != 1 {
			t.Errorf("%d lines are counted as lost", lost)
		}
	})
}

// A disk that has room for a part of the report only is none that may split the
// next line.
func TestATornReportSplitsNoOtherLine(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		room := 0
		out := &output{fail: func(p []byte) (int, error) {
			n := min(room, len(p))
			if room -= n; n < len(p) {
				return n, errors.New("no space left")
			}
			return n, nil
		}}
		w := NewWriter(out)
		more := func(line string, bytes int) {
			out.mu.Lock()
			room += bytes
			out.mu.Unlock()
			io.WriteString(w, line)
			synctest.Wait()
		}
		more("one\n", 0)
		more("two\n", len("two\n")+20)
		more("three\n", 1000)
		w.Close()
		lines := strings.Split(strings.Join(out.all(), ""), "\n")
		if len(lines) != 5 || lines[0] != "two" || lines[2] != "three" || !strings.HasSuffix(lines[3], `"lines":1}`) {
			t.Errorf("got %q", lines)
		}
	})
}

func TestLinesAfterCloseAreWritten(t *testing.T) {
	out := &output{}
	w := NewWriter(out)
	w.Close()
	io.WriteString(w, "late\n")
	if writes := out.all(); len(writes) != 1 || writes[0] != "late\n" {
		t.Errorf("got %q", writes)
	}
	if err := w.Close(); err != nil {
		t.Error(err)
	}
}

func TestLinesOfManyGoroutinesStayWhole(t *testing.T) {
	var out bytes.Buffer
	w := NewWriter(&out)
	l := New(w)
	process := zerolog.New(w)
	var group sync.WaitGroup
	for range 8 {
		group.Go(func() {
			for range 200 {
				l.Log(entry())
				process.Info().Str("a", "b").Msg("x")
			}
		})
	}
	group.Wait()
	w.Close()
	lines := strings.Split(strings.TrimSuffix(out.String(), "\n"), "\n")
	if len(lines) != 2*8*200 {
		t.Errorf("%d lines", len(lines))
	}
	for _, line := range lines {
		if !json.Valid([]byte(line)) {
			t.Fatalf("split: %q", line)
		}
	}
}

func TestSetup(t *testing.T) {
	defer slog.SetDefault(slog.Default())
	for _, debug := range []bool{false, true} {
		var out bytes.Buffer
		log := Setup(&out, debug)
		log.Debug().Msg("d")
		log.Info().Str("k", "v").Msg("i")
		log.Error().Err(errors.New("why")).Msg("e")
		slog.Warn("from slog", "pid", 7)
		slog.Debug("quiet")

		var levels []string
		for text := range strings.Lines(out.String()) {
			var line map[string]any
			if err := json.Unmarshal([]byte(text), &line); err != nil {
				t.Fatalf("%v in %q", err, text)
			}
			if strings.Count(text, `"time":`) != 1 || line["msg"] == nil {
				t.Errorf("line %q", text)
			}
			if _, err := time.Parse(time.RFC3339Nano, line["time"].(string)); err != nil {
				t.Error(err)
			}
			levels = append(levels, line["level"].(string))
		}
		want := "INFO ERROR WARN"
		if debug {
			want = "DEBUG INFO ERROR WARN DEBUG"
		}
		if got := strings.Join(levels, " "); got != want {
			t.Errorf("debug %v: levels %s, want %s", debug, got, want)
		}
	}
}

func TestLoggingAllocatesNothing(t *testing.T) {
	w := NewWriter(io.Discard)
	defer w.Close()
	l, e := New(w), entry()
	for range 1000 {
		l.Log(e)
	}
	if n := testing.AllocsPerRun(1000, func() { l.Log(e) }); n > 0 {
		t.Errorf("%v allocations", n)
	}
}

func BenchmarkLog(b *testing.B) {
	w := NewWriter(io.Discard)
	defer w.Close()
	l, e := New(w), entry()
	b.ReportAllocs()
	for b.Loop() {
		l.Log(e)
	}
}

// A pipe with two writers keeps what is written at once together only up to
// its limit.
func TestLinesOfASharedOutputAreWrittenWholeAndInPieces(t *testing.T) {
	out := &pieces{}
	w := NewWriter(out)
	w.Share()
	w.Share()()
	var all []byte
	for i := range 1000 {
		all = append(all, strings.Repeat("x", 10+i%90)+"\n"...)
	}
	long := strings.Repeat("y", 9000) + "\n"
	all = append(append(all, long...), "z\n"...)
	w.Write(all)
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	var got []byte
	for _, piece := range out.written {
		if len(piece) > 4096 && string(piece) != long || piece[len(piece)-1] != '\n' {
			t.Errorf("a piece of %d bytes ends with %q", len(piece), piece[len(piece)-1])
		}
		got = append(got, piece...)
	}
	if !bytes.Equal(got, all) {
		t.Errorf("%d bytes of %d were written, or in another order", len(got), len(all))
	}
}

type pieces struct{ written [][]byte }

func (p *pieces) Write(b []byte) (int, error) {
	p.written = append(p.written, bytes.Clone(b))
	return len(b), nil
}
