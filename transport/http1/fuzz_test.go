package http1_test

import (
	"bytes"
	"errors"
	"io"
	"net/http/httputil"
	"strings"
	"testing"
	"testing/iotest"

	"kamal-proxy/transport/exchange"
	"kamal-proxy/transport/http1"
)

// FuzzReadRequest: whatever comes, a request is read alike however it is cut,
// alike by net/http if that takes it, and what is written of it reads the same.
func FuzzReadRequest(f *testing.F) {
	for _, seed := range []string{
		requestMessage,
		"GET / HTTP/1.1\r\nHost: x\r\n\r\nGET / HTTP/1.1\r\n\r\n",
		"POST http://a?b HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\nConnection: upgrade\r\nUpgrade: u\r\n\r\nabc",
		"OPTIONS * HTTP/1.0\r\nConnection: keep-alive\r\n\r\n",
		"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
		chunkedHead + "3;a=b\r\nabc\r\n0\r\nT: u\r\n\r\n",
		chunkedHead + "3 \r\nabc\n0\r\n",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, in string) {
		whole, err := read(http1.NewReader(strings.NewReader(in), http1.Limits{}))
		bytewise, err2 := read(http1.NewReader(iotest.OneByteReader(strings.NewReader(in)), http1.Limits{}))
		if err == nil && whole != bytewise || (err == nil) != (err2 == nil) {
			t.Errorf("read at once: %+v, %v\nby the byte: %+v, %v", whole, err, bytewise, err2)
		}
		our, ourErr := oursRequest(in)
		their, theirErr := theirsRequest(in)
		compare(t, our, ourErr, their, theirErr)
		if err == nil {
			rewrite(t, in)
		}
	})
}

// rewrite writes the request of in, and reads that.
func rewrite(t *testing.T, in string) {
	var req exchange.Request
	if err := http1.NewReader(strings.NewReader(in), http1.Limits{}).ReadRequest(&req); err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	w := http1.NewWriter(&out)
	if err := w.WriteRequest(&req); err != nil {
		t.Fatalf("what was read cannot be written: %v", err)
	}
	body, err := io.ReadAll(req.Body)
	if err != nil {
		t.Fatal(err)
	}
	w.Write(body)
	if err := w.End(req.Trailer()); err != nil {
		t.Fatal(err)
	}
	got, err := read(http1.NewReader(&out, http1.Limits{}))
	if err != nil || got.Method != req.Method || got.Target != req.Target || got.Authority != req.Authority || got.Body != string(body) || got.Length != req.ContentLength {
		t.Errorf("%+v was written, %+v read, %v", req, got, err)
	}
}

func FuzzReadResponse(f *testing.F) {
	for _, seed := range []string{
		responseMessage,
		"HTTP/1.0 200 OK\r\n\r\nuntil the end",
		"HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\nHTTP/1.1 200 OK\r\n\r\n",
		"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\nT: u\r\n\r\n",
		"HTTP/1.1 304 Not Modified\r\nContent-Length: 3\r\n\r\n",
		"HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: u\r\n\r\nbytes",
	} {
		f.Add(seed, false)
		f.Add(seed, true)
	}
	f.Fuzz(func(t *testing.T, in string, head bool) {
		method := "GET"
		if head {
			method = "HEAD"
		}
		our, ourErr := oursResponse(in, method)
		their, theirErr := theirsResponse(in, method)
		if strings.HasPrefix(in, "HTTP/1.1 1") || strings.HasPrefix(in, "HTTP/1.0 1") {
			return // net/http leaves interim responses to its Transport
		}
		compare(t, our, ourErr, their, theirErr)
		var refused *http1.Error
		if errors.As(ourErr, &refused) {
			t.Errorf("a response is refused with a status for a client: %v", ourErr)
		}
	})
}

// FuzzChunked: what both take of some chunks is the same data; and data that
// is written in any parts comes back.
func FuzzChunked(f *testing.F) {
	for _, seed := range []string{"3\r\nabc\r\n0\r\n\r\n", "1;x\r\na\r\n0001\r\nb\r\n0;y\r\nT: u\r\n\r\n", "ffffffffffffffff\r\n", "3\nabc\n0\n\n", "0\r\n\r\n"} {
		f.Add(seed, uint16(2))
	}
	f.Fuzz(func(t *testing.T, in string, part uint16) {
		our, ourErr := oursRequest(chunkedHead + in)
		if ourErr == nil {
			their, theirErr := io.ReadAll(httputil.NewChunkedReader(strings.NewReader(in)))
			if theirErr != nil || string(their) != our.Body {
				t.Errorf("got %q, net/http %q, %v", our.Body, their, theirErr)
			}
		}
		var out bytes.Buffer
		w := http1.NewWriter(&out)
		w.WriteResponse(&http1.ResponseHead{Status: 200, Length: -1, KeepAlive: true})
		for rest := in; rest != ""; {
			n := min(len(rest), int(part)+1)
			w.Write([]byte(rest[:n]))
			rest = rest[n:]
		}
		if err := w.End(nil); err != nil {
			t.Fatal(err)
		}
		if got, err := oursResponse(out.String(), "GET"); err != nil || got.Body != in || got.Rest != "" {
			t.Errorf("%q came back as %+v, %v", in, got, err)
		}
	})
}
