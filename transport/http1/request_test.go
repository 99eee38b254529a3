package http1_test

import (
	"errors"
	"io"
	"strings"
	"testing"
	"testing/iotest"

	"kamal-proxy/transport/exchange"
	"kamal-proxy/transport/http1"
)

// request is what a ReadRequest and its body came to, in copies.
type request struct {
	Method, Target, Path, Query, Authority, Proto, Upgrade string
	HasQuery, KeepAlive, Expects                           bool
	Length                                                 int64
	Header, Trailer                                        string
	Body                                                   string
}

// read reads one request with its body.
func read(r *http1.Reader) (request, error) {
	var req exchange.Request
	if err := r.ReadRequest(&req); err != nil {
		return request{}, err
	}
	body, err := io.ReadAll(req.Body)
	return request{
		strings.Clone(req.Method), strings.Clone(req.Target), strings.Clone(req.Path), strings.Clone(req.Query),
		strings.Clone(req.Authority), strings.Clone(req.Proto), strings.Clone(req.Upgrade),
		req.HasQuery, r.KeepAlive(), r.ExpectsContinue(), req.ContentLength, lines(req.Header), lines(req.Trailer()), string(body),
	}, err
}

func lines(h exchange.Header) string {
	var b strings.Builder
	for _, f := range h {
		b.WriteString(f.Name + ": " + f.Value + "\n")
	}
	return b.String()
}

func TestReadRequest(t *testing.T) {
	for name, c := range map[string]struct {
		in   string
		want request
	}{
		"plain": {"GET /a?b?c HTTP/1.1\r\nHost: x:80\r\nA: 1\r\na:\t2 \r\nEmpty:\r\n\r\n", request{
			Method: "GET", Target: "/a?b?c", Path: "/a", Query: "b?c", HasQuery: true, Authority: "x:80", Proto: "HTTP/1.1",
			KeepAlive: true, Header: "A: 1\na: 2\nEmpty: \n"}},
		"odd target": {"GET /{|}%zz\xff?# HTTP/1.1\r\nHost: x\r\n\r\n", request{
			Method: "GET", Target: "/{|}%zz\xff?#", Path: "/{|}%zz\xff", Query: "#", HasQuery: true, Authority: "x", Proto: "HTTP/1.1", KeepAlive: true}},
		"length": {"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\nContent-Length: 3\r\nConnection: foo, Close\r\n\r\nabc", request{
			Method: "POST", Target: "/", Path: "/", Authority: "x", Proto: "HTTP/1.1", Length: 3, Body: "abc",
			Header: "Content-Length: 3\nContent-Length: 3\nConnection: foo, Close\n"}},
		"chunked": {"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: Chunked\r\nExpect: 100-Continue\r\n\r\n3;a=\"b\"\r\nabc\r\n00A\r\n0123456789\r\n0\r\nX-T: 1\r\n\r\n", request{
			Method: "POST", Target: "/", Path: "/", Authority: "x", Proto: "HTTP/1.1", Length: -1, Body: "abc0123456789",
			KeepAlive: true, Expects: true, Header: "Transfer-Encoding: Chunked\nExpect: 100-Continue\n", Trailer: "X-T: 1\n"}},
		"HTTP/1.0":            {"GET / HTTP/1.0\r\n\r\n", request{Method: "GET", Target: "/", Path: "/", Proto: "HTTP/1.0"}},
		"HTTP/1.0 keep-alive": {"GET / HTTP/1.0\r\nConnection: Keep-Alive\r\n\r\n", request{Method: "GET", Target: "/", Path: "/", Proto: "HTTP/1.0", KeepAlive: true, Header: "Connection: Keep-Alive\n"}},
		"upgrade": {"GET / HTTP/1.1\r\nHost: x\r\nConnection: keep-alive, Upgrade\r\nUpgrade: websocket\r\n\r\n", request{
			Method: "GET", Target: "/", Path: "/", Authority: "x", Proto: "HTTP/1.1", KeepAlive: true, Upgrade: "websocket",
			Header: "Connection: keep-alive, Upgrade\nUpgrade: websocket\n"}},
		"upgrade unasked":  {"GET / HTTP/1.1\r\nHost: x\r\nUpgrade: h2c\r\n\r\n", request{Method: "GET", Target: "/", Path: "/", Authority: "x", Proto: "HTTP/1.1", KeepAlive: true, Header: "Upgrade: h2c\n"}},
		"absolute":         {"GET HTTP://a.test:8?q HTTP/1.1\r\nHost: other\r\n\r\n", request{Method: "GET", Target: "/?q", Path: "/", Query: "q", HasQuery: true, Authority: "a.test:8", Proto: "HTTP/1.1", KeepAlive: true}},
		"asterisk":         {"OPTIONS * HTTP/1.1\r\nHost: x\r\n\r\n", request{Method: "OPTIONS", Target: "*", Path: "*", Authority: "x", Proto: "HTTP/1.1", KeepAlive: true}},
		"absolute options": {"OPTIONS http://a HTTP/1.1\r\nHost: a\r\n\r\n", request{Method: "OPTIONS", Target: "*", Path: "*", Authority: "a", Proto: "HTTP/1.1", KeepAlive: true}},
	} {
		t.Run(name, func(t *testing.T) {
			for way, src := range map[string]io.Reader{
				"whole": strings.NewReader(c.in), "by the byte": iotest.OneByteReader(strings.NewReader(c.in)),
				"after an empty line": strings.NewReader("\r\n" + c.in), "end with the data": iotest.DataErrReader(strings.NewReader(c.in)),
			} {
				if got, err := read(http1.NewReader(src, http1.Limits{})); err != nil || got != c.want {
					t.Errorf("%s: got %+v, %v\nwant %+v", way, got, err, c.want)
				}
			}
		})
	}
}

const host = "Host: x\r\n"

func TestRefusedRequests(t *testing.T) {
	for name, c := range map[string]struct {
		in     string
		status int
	}{
		"CL with TE":               {"POST / HTTP/1.1\r\n" + host + "Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400},
		"two lengths":              {"POST / HTTP/1.1\r\n" + host + "Content-Length: 3\r\nContent-Length: 4\r\n\r\nabc", 400},
		"list of lengths":          {"POST / HTTP/1.1\r\n" + host + "Content-Length: 3, 3\r\n\r\nabc", 400},
		"signed length":            {"POST / HTTP/1.1\r\n" + host + "Content-Length: +3\r\n\r\nabc", 400},
		"empty length":             {"POST / HTTP/1.1\r\n" + host + "Content-Length:\r\n\r\nabc", 400},
		"huge length":              {"POST / HTTP/1.1\r\n" + host + "Content-Length: 9223372036854775808\r\n\r\nabc", 400},
		"unknown coding":           {"POST / HTTP/1.1\r\n" + host + "Transfer-Encoding: gzip, chunked\r\n\r\n", 501},
		"identity":                 {"POST / HTTP/1.1\r\n" + host + "Transfer-Encoding: identity\r\n\r\n", 501},
		"chunked twice":            {"POST / HTTP/1.1\r\n" + host + "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n", 400},
		"chunked not last":         {"POST / HTTP/1.1\r\n" + host + "Transfer-Encoding: chunked, gzip\r\n\r\n", 400},
		"empty coding":             {"POST / HTTP/1.1\r\n" + host + "Transfer-Encoding:\r\n\r\n", 400},
		"coding in quotes":         {"POST / HTTP/1.1\r\n" + host + "Transfer-Encoding: \"chunked\"\r\n\r\n", 400},
		"chunked with parameter":   {"POST / HTTP/1.1\r\n" + host + "Transfer-Encoding: chunked;a=b\r\n\r\n", 400},
		"coding after a control":   {"POST / HTTP/1.1\r\n" + host + "Transfer-Encoding: \x0bchunked\r\n\r\n", 400},
		"coding in HTTP/1.0":       {"POST / HTTP/1.0\r\n" + host + "Transfer-Encoding: chunked\r\n\r\n", 400},
		"CL and TE in HTTP/1.0":    {"POST / HTTP/1.0\r\n" + host + "Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n", 400},
		"bare LF":                  {"GET / HTTP/1.1\n" + host + "\r\n", 400},
		"bare LF in fields":        {"GET / HTTP/1.1\r\nHost: x\nA: b\r\n\r\n", 400},
		"bare LF as empty line":    {"GET / HTTP/1.1\r\nHost: x\r\n\n", 400},
		"bare CR in a value":       {"GET / HTTP/1.1\r\n" + host + "A: b\rc\r\n\r\n", 400},
		"bare CR in the line":      {"GET /\r HTTP/1.1\r\n" + host + "\r\n", 400},
		"folded line":              {"GET / HTTP/1.1\r\n" + host + "A: b\r\n c\r\n\r\n", 400},
		"fold as first":            {"GET / HTTP/1.1\r\n Host: x\r\n\r\n", 400},
		"blank before colon":       {"GET / HTTP/1.1\r\nHost : x\r\n\r\n", 400},
		"no colon":                 {"GET / HTTP/1.1\r\nHost\r\n\r\n", 400},
		"no name":                  {"GET / HTTP/1.1\r\n" + host + ": x\r\n\r\n", 400},
		"bad name":                 {"GET / HTTP/1.1\r\n" + host + "a(b: x\r\n\r\n", 400},
		"NUL in a value":           {"GET / HTTP/1.1\r\n" + host + "A: long enough for words\x00\r\n\r\n", 400},
		"DEL in a value":           {"GET / HTTP/1.1\r\n" + host + "A: \x7f\r\n\r\n", 400},
		"NUL in the target":        {"GET /\x00 HTTP/1.1\r\n" + host + "\r\n", 400},
		"two blanks":               {"GET  / HTTP/1.1\r\n" + host + "\r\n", 400},
		"blank in the target":      {"GET /a b HTTP/1.1\r\n" + host + "\r\n", 400},
		"tab for a blank":          {"GET\t/ HTTP/1.1\r\n" + host + "\r\n", 400},
		"no version":               {"GET /\r\n" + host + "\r\n", 400},
		"odd version":              {"GET / HTTPS/1.1\r\n" + host + "\r\n", 400},
		"small version":            {"GET / http/1.1\r\n" + host + "\r\n", 400},
		"HTTP/1.2":                 {"GET / HTTP/1.2\r\n" + host + "\r\n", 505},
		"HTTP/2.0":                 {"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 505},
		"bad method":               {"G@T / HTTP/1.1\r\n" + host + "\r\n", 400},
		"TLS handshake":            {"\x16\x03\x01\x02\x00\x01\x00\x01", 400},
		"two empty lines":          {"\r\n\r\nGET / HTTP/1.1\r\n" + host + "\r\n", 400},
		"no Host":                  {"GET / HTTP/1.1\r\n\r\n", 400},
		"two Hosts":                {"GET / HTTP/1.1\r\n" + host + host + "\r\n", 400},
		"two Hosts in HTTP/1.0":    {"GET / HTTP/1.0\r\n" + host + host + "\r\n", 400},
		"Host with a path":         {"GET / HTTP/1.1\r\nHost: x/y\r\n\r\n", 400},
		"Host with a user":         {"GET / HTTP/1.1\r\nHost: u@x\r\n\r\n", 400},
		"CONNECT":                  {"CONNECT x:443 HTTP/1.1\r\n" + host + "\r\n", 501},
		"authority":                {"GET x:443 HTTP/1.1\r\n" + host + "\r\n", 400},
		"asterisk":                 {"GET * HTTP/1.1\r\n" + host + "\r\n", 400},
		"other scheme":             {"GET ftp://x/ HTTP/1.1\r\n" + host + "\r\n", 400},
		"absolute with a user":     {"GET http://u@x/ HTTP/1.1\r\n" + host + "\r\n", 400},
		"absolute without host":    {"GET http:///a HTTP/1.1\r\n" + host + "\r\n", 400},
		"long line":                {"GET /" + strings.Repeat("a", 5000) + " HTTP/1.1\r\n" + host + "\r\n", 431},
		"endless line":             {"GET /" + strings.Repeat("a", 50000), 431},
		"large head":               {"GET / HTTP/1.1\r\n" + host + strings.Repeat("A: "+strings.Repeat("b", 1000)+"\r\n", 20) + "\r\n", 431},
		"many fields":              {"GET / HTTP/1.1\r\n" + host + strings.Repeat("A:\r\n", 100) + "\r\n", 431}, // one too many, with Host
		"bad chunk size":           {chunkedHead + "g\r\n", 400},
		"empty chunk size":         {chunkedHead + "\r\n", 400},
		"signed chunk size":        {chunkedHead + "+3\r\nabc\r\n0\r\n\r\n", 400},
		"0x chunk size":            {chunkedHead + "0x3\r\nabc\r\n0\r\n\r\n", 400},
		"blank after the size":     {chunkedHead + "3 \r\nabc\r\n0\r\n\r\n", 400},
		"huge chunk size":          {chunkedHead + "fffffffffffffffff\r\n", 400},
		"bare LF after the size":   {chunkedHead + "3\nabc\r\n0\r\n\r\n", 400},
		"bare CR in an extension":  {chunkedHead + "3;a\rb\r\nabc\r\n0\r\n\r\n", 400},
		"chunk longer than said":   {chunkedHead + "3\r\nabcd\r\n0\r\n\r\n", 400},
		"chunk ends with LF":       {chunkedHead + "3\r\nabc\n0\r\n\r\n", 400},
		"long extension":           {chunkedHead + "3;" + strings.Repeat("a", 5000) + "\r\nabc\r\n0\r\n\r\n", 400},
		"many extensions":          {chunkedHead + strings.Repeat("1;"+strings.Repeat("a", 1000)+"\r\na\r\n", 20) + "0\r\n\r\n", 400},
		"bad trailer":              {chunkedHead + "0\r\nA : b\r\n\r\n", 400},
		"bare LF after the chunks": {chunkedHead + "0\r\n\n", 400},
		"large trailers":           {chunkedHead + "0\r\n" + strings.Repeat("A: "+strings.Repeat("b", 1000)+"\r\n", 20) + "\r\n", 431},
	} {
		t.Run(name, func(t *testing.T) {
			limits := http1.Limits{Line: 4 << 10, Head: 16 << 10, Fields: 100}
			for _, src := range []io.Reader{strings.NewReader(c.in), iotest.OneByteReader(strings.NewReader(c.in))} {
				_, err := read(http1.NewReader(src, limits))
				var refused *http1.Error
				if !errors.As(err, &refused) || refused.Status != c.status {
					t.Errorf("got %v, want %d", err, c.status)
				}
			}
		})
	}
}

// TestLimitsAreExact has heads that are just as large as they may be.
func TestLimitsAreExact(t *testing.T) {
	head := "GET / HTTP/1.1\r\nHost: x\r\nA: " + strings.Repeat("b", 100) + "\r\nC: d\r\n\r\n"
	for name, c := range map[string]struct {
		limits http1.Limits
		fits   bool
	}{
		"bytes":           {http1.Limits{Head: len(head)}, true},
		"a byte less":     {http1.Limits{Head: len(head) - 1}, false},
		"a line":          {http1.Limits{Line: len("A: \r\n") + 100}, true},
		"a byte too long": {http1.Limits{Line: len("A: \r\n") + 99}, false},
		"fields":          {http1.Limits{Fields: 3}, true},
		"a field less":    {http1.Limits{Fields: 2}, false},
	} {
		for _, src := range []io.Reader{strings.NewReader(head), iotest.OneByteReader(strings.NewReader(head))} {
			if _, err := read(http1.NewReader(src, c.limits)); (err == nil) != c.fits {
				t.Errorf("%s: %v", name, err)
			}
		}
	}
}

const chunkedHead = "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"

func TestPipelinedRequests(t *testing.T) {
	one := "POST /1 HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nabc"
	two := "POST /2 HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\nT: u\r\n\r\n"
	r := http1.NewReader(strings.NewReader(strings.Repeat(one+two, 500)), http1.Limits{})
	for i := range 1000 {
		got, err := read(r)
		if err != nil || got.Body != "abc" || got.Path != []string{"/1", "/2"}[i%2] {
			t.Fatalf("request %d: %+v, %v", i, got, err)
		}
	}
	if _, err := read(r); err != io.EOF {
		t.Errorf("at the end: %v", err)
	}
}

func TestRequestsThatBreakOff(t *testing.T) {
	const whole = "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\nT: u\r\n\r\n"
	for i := 1; i < len(whole); i++ {
		if _, err := read(http1.NewReader(strings.NewReader(whole[:i]), http1.Limits{})); err != io.ErrUnexpectedEOF {
			t.Errorf("after %q: %v", whole[:i], err)
		}
	}
}

// The strings of a head hold while its body and trailers are read, however
// little room they leave.
func TestHeadHoldsWhileTheBodyIsRead(t *testing.T) {
	for _, size := range []int{10, 4000, 7000, 8000, 8100, 8192, 20_000} {
		value := strings.Repeat("v", size)
		in := "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\nA: " + value + "\r\n\r\n" +
			strings.Repeat("5\r\n12345\r\n", 4000) + "0\r\nT: " + value + "\r\n\r\n"
		r := http1.NewReader(strings.NewReader(in), http1.Limits{})
		got, err := read(r)
		if err != nil || !strings.Contains(got.Header, "A: "+value+"\n") || got.Trailer != "T: "+value+"\n" || len(got.Body) != 20_000 {
			t.Errorf("head of %d bytes: %v, header and trailer of %d and %d, body %d", size, err, len(got.Header), len(got.Trailer), len(got.Body))
		}
	}
}

func TestTimeoutsCanBeWaitedOut(t *testing.T) {
	src := iotest.TimeoutReader(iotest.OneByteReader(strings.NewReader("GET / HTTP/1.1\r\nHost: x\r\n\r\n")))
	r := http1.NewReader(src, http1.Limits{})
	if _, err := read(r); err != iotest.ErrTimeout {
		t.Fatalf("got %v", err)
	}
	if got, err := read(r); err != nil || got.Method != "GET" {
		t.Errorf("then got %+v, %v", got, err)
	}
}
