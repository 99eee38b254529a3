package proxy

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"kamal-proxy/actors/service"
	"kamal-proxy/transport/exchange"
	"kamal-proxy/transport/http1"
)

// bufferingStage makes a Proxy that keeps bodies, as Kamal wants it for
// everybody.
func bufferingStage(t testing.TB, target service.Upstream) *stage {
	s := newStage(target)
	o := &s.policy.TargetOptions
	o.BufferRequests, o.BufferResponses, o.MaxMemoryBufferSize = true, true, 1<<20
	checkTemporaryFiles(t)
	return s
}

// checkTemporaryFiles gives the test a folder for temporary files of its own,
// and has it fail if one of them is left, open or with a name.
func checkTemporaryFiles(t testing.TB) {
	t.Helper()
	dir := t.TempDir()
	t.Setenv("TMPDIR", dir)
	t.Cleanup(func() {
		for _, name := range temporaryFiles(t, dir) {
			t.Errorf("a temporary file is left: %s", name)
		}
	})
}

// temporaryFiles are those of a folder that this process has open, and those
// that have a name.
func temporaryFiles(t testing.TB, dir string) []string {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(dir, "*"))
	if err != nil {
		t.Fatal(err)
	}
	open, err := filepath.Glob("/proc/self/fd/*")
	if err != nil {
		t.Fatal(err)
	}
	for _, fd := range open {
		if name, err := os.Readlink(fd); err == nil && strings.HasPrefix(name, dir) {
			files = append(files, name)
		}
	}
	return files
}

func (x *fakeExchange) upload(body io.Reader, length int64) *fakeExchange {
	x.request.Body, x.request.ContentLength = body, length
	return x
}

func TestTargetIsAskedWithTheWholeBodyInHand(t *testing.T) {
	for _, length := range []int64{6, -1} {
		target := answers(200, "ok", 2)
		s := bufferingStage(t, target)
		parts := []string{"one", "two"}
		x := newExchange("POST", "/", "Expect", "100-continue", "Trailer", "X-Sum").upload(readerFunc(func(p []byte) (int, error) {
			if target.got.Method != "" {
				t.Error("the target was asked before the body had come")
			}
			if len(parts) == 0 {
				return 0, io.EOF
			}
			n := copy(p, parts[0])
			parts = parts[1:]
			return n, nil
		}), length)
		entry := s.serve(t, x)
		expect(t, "target's body", target.received, "onetwo")
		expect(t, "target's length", target.got.ContentLength, 6)
		expect(t, "target's Trailer", target.got.Header.Has("Trailer"), false)
		expect(t, "target's Expect", target.got.Header.Has("Expect"), false)
		expect(t, "status", x.status, 200)
		expect(t, "logged length", entry.ReqContentLength, length)
	}
}

func TestKeptBodyCanBeSentAgain(t *testing.T) {
	target := answers(200, "ok", 2)
	s := bufferingStage(t, target)
	s.serve(t, newExchange("POST", "/").upload(strings.NewReader("abc"), 3))
	if _, ok := target.got.Body.(interface{ Rewind() }); !ok {
		t.Errorf("a %T cannot be sent again", target.got.Body)
	}
	if _, ok := target.got.Body.(io.Closer); ok {
		t.Error("the target could close what is kept")
	}
}

func TestRequestTrailersWithBuffering(t *testing.T) {
	target := answers(200, "", 0)
	s := bufferingStage(t, target)
	x := newExchange("POST", "/", "Trailer", "X-Sum").upload(strings.NewReader("abc"), -1)
	fields := header("X-A", "1", "Host", "evil", "X-B", "2")
	x.request.Trailer = func() exchange.Header { return fields }
	s.serve(t, x)
	expect(t, "body", target.received, "abc")
	expect(t, "length", target.got.ContentLength, -1)
	expect(t, "Trailer", target.got.Header.Get("Trailer"), "X-Sum")
	expect(t, "trailers", fmt.Sprint(target.trailer), "[{X-A 1} {X-B 2}]")
}

func TestRequestLimits(t *testing.T) {
	const limit = 1000
	for _, buffering := range []bool{true, false} {
		for _, chunked := range []bool{false, true} {
			for size := int64(limit - 1); size <= limit+1; size++ {
				name := fmt.Sprintf("buffering %v, chunked %v, %d bytes", buffering, chunked, size)
				target := answers(200, "ok", 2)
				s := bufferingStage(t, target)
				s.policy.TargetOptions.BufferRequests, s.policy.TargetOptions.MaxRequestBodySize = buffering, limit
				body := strings.NewReader(strings.Repeat("x", int(size)))
				x := newExchange("POST", "/").upload(body, size)
				if chunked {
					x.request.ContentLength = -1
				}
				entry := s.serve(t, x)
				if tooLarge := buffering && size > limit; !tooLarge {
					expect(t, name+": status", x.status, 200)
					expect(t, name+": target's bytes", len(target.received), int(size))
					continue
				}
				expect(t, name+": status", x.status, 413)
				expect(t, name+": logged", entry.Status, 413)
				expect(t, name+": logged target", entry.Target, "web:80")
				expect(t, name+": page", strings.Contains(x.body.String(), "413"), true)
				expect(t, name+": target asked", target.got.Method, "")
				expect(t, name+": aborted", x.aborted, false)
				expect(t, name+": read", body.Len() < int(size), chunked) // by its length it is known beforehand
			}
		}
	}
}

func TestUploadsThatFail(t *testing.T) {
	for _, c := range []struct {
		name   string
		err    error
		status int // sent
		logged int
	}{
		{"client leaves", io.ErrUnexpectedEOF, 0, 499},
		{"client ends too early", io.EOF, 0, 499},
		{"client is too slow", os.ErrDeadlineExceeded, 408, 408},
		{"malformed", &http1.Error{Status: 400, Reason: "a chunk's size is not a hexadecimal number"}, 400, 400},
	} {
		target := answers(200, "ok", 2)
		s := bufferingStage(t, target)
		x := newExchange("POST", "/").upload(io.MultiReader(
			strings.NewReader(strings.Repeat("x", 2<<20)), // on disk
			readerFunc(func([]byte) (int, error) { return 0, c.err }),
		), 3<<20)
		entry := s.serve(t, x)
		expect(t, c.name+": status", x.status, c.status)
		expect(t, c.name+": logged", entry.Status, c.logged)
		expect(t, c.name+": target asked", target.got.Method, "")
	}
}

func TestNoRoomForABody(t *testing.T) {
	large := strings.Repeat("x", 3<<20)
	for name, c := range map[string]struct {
		upload string
		target *fakeTarget
	}{
		"request":  {large, answers(200, "ok", 2)},
		"response": {"", answers(200, large, 3<<20, "Set-Cookie", "a=b")},
	} {
		s := bufferingStage(t, c.target)
		t.Setenv("TMPDIR", filepath.Join(t.TempDir(), "missing"))
		x := newExchange("POST", "/").upload(strings.NewReader(c.upload), int64(len(c.upload)))
		s.serve(t, x)
		expect(t, name+": status", x.status, 500)
		expect(t, name+": page", strings.Contains(x.body.String(), "500"), true)
		expect(t, name+": target's header on the page", x.header.Has("Set-Cookie"), false)
		expect(t, name+": told", strings.Contains(s.log.String(), "make room there, or raise --buffer-memory"), true)
	}
}

// closable is a client's body whose Read waits until it is closed.
type closable struct {
	reading, closed chan struct{}
	once            sync.Once
}

func newClosable() *closable {
	return &closable{reading: make(chan struct{}), closed: make(chan struct{})}
}

func (c *closable) Read([]byte) (int, error) {
	close(c.reading)
	<-c.closed
	return 0, errors.New("closed")
}

func (c *closable) Close() error {
	c.once.Do(func() { close(c.closed) })
	return nil
}

func TestCutWhileTheClientUploads(t *testing.T) {
	target := answers(200, "ok", 2)
	s := bufferingStage(t, target)
	body := newClosable()
	x := newExchange("POST", "/").upload(body, 10)
	go func() { <-body.reading; s.cut(service.ErrDrained) }()
	entry := s.serve(t, x)
	expect(t, "status", x.status, 504)
	expect(t, "logged", entry.Status, 504)
	expect(t, "aborted", x.aborted, false)
	expect(t, "target asked", target.got.Method, "")
}

func TestCutBeforeTheUpload(t *testing.T) {
	s := bufferingStage(t, answers(200, "ok", 2))
	await := s.await
	s.await = func(r *service.Route, ctx context.Context, leave func(*service.Route)) (service.Verdict, error) {
		s.cut(service.ErrDrained)
		return await(r, ctx, leave)
	}
	x := newExchange("POST", "/").upload(newClosable(), 10)
	s.serve(t, x)
	expect(t, "status", x.status, 504)
}

// A service may cut a request off whose goodbye it has not heard yet.
func TestCutAfterTheEndTouchesNothing(t *testing.T) {
	s := bufferingStage(t, answers(200, "ok", 2))
	first := newExchange("GET", "/")
	s.serve(t, first)
	late := s.cut
	second := newExchange("GET", "/")
	s.finish = func(*service.Lease) { s.finished++; late(service.ErrDrained) }
	s.serve(t, second)
	expect(t, "status", second.status, 200)
	expect(t, "body", second.body.String(), "ok")
	expect(t, "aborted", first.aborted || second.aborted, false)
}

// within waits for something that another goroutine does.
func within(t testing.TB, what string, done <-chan struct{}) {
	t.Helper()
	select {
	case <-done:
	case <-time.After(patience):
		t.Fatalf("%s: not within %v", what, patience)
	}
}

// earlyTarget answers while the request's body is still being sent: that goes on
// until its response is closed.
type earlyTarget struct {
	fakeTarget
	body io.Reader // the request's, when the response was closed
}

func (t *earlyTarget) Send(ctx context.Context, r *exchange.Request, interim func(int, exchange.Header) error) (*exchange.Response, error) {
	response, err := t.fakeTarget.Send(ctx, r, interim)
	response.Close = func() error {
		t.body = r.Body
		return nil
	}
	return response, err
}

// Were the body taken away before, one that is still on its way would seem to
// end there.
func TestKeptBodyStaysUntilTheResponseIsClosed(t *testing.T) {
	target := &earlyTarget{fakeTarget: *answers(200, "ok", 2)}
	bufferingStage(t, target).serve(t, newExchange("POST", "/").upload(strings.NewReader("abc"), 3))
	if target.body == nil || target.body == http.NoBody {
		t.Errorf("the request's body was %T when the response was closed", target.body)
	}
}
