package proxy

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"

	"kamal-proxy/actors/service"
	"kamal-proxy/actors/system"
	"kamal-proxy/transport/exchange"
	"kamal-proxy/transport/http1"
	"kamal-proxy/transport/upstream"
)

func TestFailures(t *testing.T) {
	for _, c := range []struct {
		err    error
		status int
	}{
		{fmt.Errorf("dial: %w", upstream.ErrTimeout), 504},
		{fmt.Errorf("dial: %w", upstream.ErrUnreachable), 502},
		{upstream.ErrBroken, 502},
		{fmt.Errorf("%w: bad line", http1.ErrMalformedResponse), 502},
		{&http1.Error{Status: 400, Reason: "odd"}, 400},
		{&upstream.BodyError{Err: &http1.Error{Status: 413}}, 413},
		{&upstream.BodyError{Err: errors.New("malformed chunked encoding")}, 400},
		{io.EOF, 502},
	} {
		s := newStage(fails(c.err))
		s.policy.TargetOptions.ForwardHeaders = true
		x := newExchange("GET", "/")
		entry := s.serve(t, x)
		expect(t, fmt.Sprintf("status for %v", c.err), x.status, c.status)
		expect(t, "logged status", entry.Status, c.status)
		expect(t, "aborted", x.aborted, false)
		expect(t, "warned", strings.Contains(s.log.String(), "Target failed"), c.status == 502 || c.status == 504)
	}
}

func TestFailuresOfTheQuestion(t *testing.T) {
	for err, status := range map[error]int{system.ErrStopped: 503, system.ErrCrashed: 500} {
		s := newStage(nil)
		s.held = true
		s.config.Ask = func(r *service.Route) { r.Fail(r.Ticket().Turn, err) }
		x := newExchange("GET", "/")
		s.serve(t, x)
		expect(t, err.Error(), x.status, status)
	}
}

func TestClientLeavesWhileHeld(t *testing.T) {
	s := newStage(nil)
	s.held = true
	x := newExchange("GET", "/")
	ask := s.config.Ask
	s.config.Ask = func(r *service.Route) { ask(r); go x.leave() }
	entry := s.serve(t, x)
	expect(t, "logged status", entry.Status, 499)
	expect(t, "sent status", x.status, 0)
	expect(t, "leaves", s.left, 1)
}

// waits is a target that answers when the request is ended, with its cause.
func waits(meanwhile func()) *fakeTarget {
	return &fakeTarget{answer: func(ctx context.Context, _ func(int, exchange.Header) error) (*exchange.Response, error) {
		go meanwhile()
		<-ctx.Done()
		return nil, context.Cause(ctx)
	}}
}

func TestClientLeavesWhileTheTargetThinks(t *testing.T) {
	x := newExchange("GET", "/")
	s := newStage(waits(x.leave))
	entry := s.serve(t, x)
	expect(t, "logged status", entry.Status, 499)
	expect(t, "sent status", x.status, 0)
	expect(t, "warnings", s.log.String(), "")
}

func TestCutBeforeTheHead(t *testing.T) {
	var s *stage
	x := newExchange("GET", "/")
	s = newStage(waits(func() { s.cut(service.ErrDrained) }))
	entry := s.serve(t, x)
	expect(t, "status", x.status, 504)
	expect(t, "logged status", entry.Status, 504)
	expect(t, "aborted", x.aborted, false)
	expect(t, "warnings", s.log.String(), "") // the drain tells of all that it cuts off
}

// halfway answers 200 and a part of its body, which then fails as told.
func halfway(s **stage, fail func(*stage) error) *fakeTarget {
	return &fakeTarget{answer: func(context.Context, func(int, exchange.Header) error) (*exchange.Response, error) {
		return &exchange.Response{Status: 200, ContentLength: 100, Body: io.MultiReader(
			strings.NewReader("half"), readerFunc(func([]byte) (int, error) { return 0, fail(*s) }),
		)}, nil
	}}
}

type readerFunc func([]byte) (int, error)

func (f readerFunc) Read(p []byte) (int, error) { return f(p) }

func TestBrokenOffHalfway(t *testing.T) {
	for name, c := range map[string]struct {
		fail   func(s *stage, x *fakeExchange) error
		logged int
	}{
		"by the target": {func(*stage, *fakeExchange) error { return upstream.ErrBroken }, 502},
		"by its end":    {func(*stage, *fakeExchange) error { return io.ErrUnexpectedEOF }, 502},
		"by a drain":    {func(s *stage, _ *fakeExchange) error { s.cut(service.ErrDrained); return errors.New("closed") }, 504},
		"by the client": {func(_ *stage, x *fakeExchange) error { x.leave(); return errors.New("closed") }, 200},
	} {
		var s *stage
		x := newExchange("GET", "/")
		target := halfway(&s, func(s *stage) error { return c.fail(s, x) })
		s = newStage(target)
		entry := s.serve(t, x)
		expect(t, name+": status", x.status, 200)
		expect(t, name+": body", x.body.String(), "half")
		expect(t, name+": aborted", x.aborted, true)
		expect(t, name+": logged", entry.Status, c.logged)
		expect(t, name+": logged bytes", entry.RespContentLength, 4)
		expect(t, name+": closed", target.closed, 1)
	}
}

func TestClientThatTakesNothingIsGone(t *testing.T) {
	s := newStage(answers(200, "hello", -1))
	x := newExchange("GET", "/")
	x.writeErr = errors.New("broken pipe")
	s.serve(t, x)
	expect(t, "aborted", x.aborted, true)
	expect(t, "warnings", s.log.String(), "")
}
