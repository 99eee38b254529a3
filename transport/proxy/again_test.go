package proxy

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"kamal-proxy/actors/service"
	"kamal-proxy/transport/exchange"
	"kamal-proxy/transport/upstream"
)

func unanswered(unsent bool) error {
	return &upstream.UnansweredError{Err: fmt.Errorf("no luck: %w", upstream.ErrUnreachable), Unsent: unsent}
}

// elsewhere adds a target that takes what the one before did not answer.
func (s *stage) elsewhere(name string, to service.Upstream) *service.Lease {
	lease := &service.Lease{}
	s.given = append(s.given, lease)
	s.others = append(s.others, service.Verdict{Action: service.Forward, Target: to, TargetName: name, Lease: lease, Stick: "cookie-of-" + name})
	return lease
}

func TestUnansweredRequestsGoToOthers(t *testing.T) {
	last := answers(200, "here", 4)
	s := newStage(fails(unanswered(true)))
	s.elsewhere("two:80", fails(unanswered(false)))
	s.elsewhere("three:80", last)
	x := newExchange("GET", "/a", "Cookie", "kamal-sticky=mine")
	entry := s.serve(t, x)

	expect(t, "status", x.status, 200)
	expect(t, "body", x.body.String(), "here")
	expect(t, "failures", strings.Join(s.again, ", "), "no luck: the target cannot be reached true, no luck: the target cannot be reached false")
	expect(t, "the cookie that was asked with", s.asked.Sticky, "mine")
	expect(t, "the target that is logged", entry.Target, "three:80")
	expect(t, "logged retries", entry.Retries, 2)
	expect(t, "counts", fmt.Sprint(s.counts), "[begin app retry app retry app end app GET]")
	expect(t, "X-Kamal-Target", strings.Join(last.got.Header.Values("X-Kamal-Target"), "|"), "three:80")
	expect(t, "Set-Cookie", x.header.Get("Set-Cookie"), "kamal-sticky=cookie-of-three:80; Path=/; HttpOnly; SameSite=Lax")
	if s.log.Len() > 0 && strings.Contains(s.log.String(), `"warn"`) {
		t.Errorf("a request that was answered is warned of: %s", s.log.String())
	}
}

func TestTargetsBeforeAreKeptInTheHeader(t *testing.T) {
	last := answers(200, "", 0)
	s := newStage(fails(unanswered(true)))
	s.policy.TargetOptions.ForwardHeaders = true
	s.elsewhere("two:80", last)
	s.serve(t, newExchange("GET", "/", "X-Kamal-Target", "edge"))
	expect(t, "X-Kamal-Target", last.got.Header.Get("X-Kamal-Target"), "edge, two:80")
}

// The error of the last target is the answer where there is no other.
func TestNoOtherTarget(t *testing.T) {
	s := newStage(fails(unanswered(true)))
	x := newExchange("GET", "/")
	entry := s.serve(t, x)
	expect(t, "status", x.status, 502)
	expect(t, "questions", len(s.again), 1)
	expect(t, "logged retries", entry.Retries, 0)
	expect(t, "the target that is logged", entry.Target, "web:80")
}

func TestWhatIsNotAskedAgain(t *testing.T) {
	for name, err := range map[string]error{
		"a timeout":         upstream.ErrTimeout,
		"a broken answer":   upstream.ErrBroken,
		"a broken upload":   &upstream.BodyError{Err: errors.New("broken")},
		"what has no class": errors.New("odd"),
	} {
		s := newStage(fails(err))
		s.elsewhere("two:80", answers(200, "", 0))
		s.serve(t, newExchange("GET", "/"))
		expect(t, name+": questions", len(s.again), 0)
	}
}

// A request that was cut off, or whose client has gone, is over.
func TestNothingIsSentAgainAfterACut(t *testing.T) {
	s := newStage(nil)
	s.verdict.Target = &fakeTarget{answer: fails(unanswered(true)).answer}
	target := s.verdict.Target.(*fakeTarget)
	refuse := target.answer
	target.answer = func(ctx context.Context, interim func(int, exchange.Header) error) (*exchange.Response, error) {
		s.cut(service.ErrDrained)
		return refuse(ctx, interim)
	}
	s.elsewhere("two:80", answers(200, "", 0))
	x := newExchange("GET", "/")
	s.serve(t, x)
	expect(t, "status", x.status, 504)
	expect(t, "questions", len(s.again), 0)
}

func TestStickyCookieIsSecureWithTLS(t *testing.T) {
	s := newStage(answers(200, "", 0))
	s.verdict.Stick, s.verdict.Prefix = "abc", "/api"
	s.policy.TargetOptions.ScopeCookiePaths = true
	x := newExchange("GET", "/api/x")
	x.request.Scheme = "https"
	s.serve(t, x)
	expect(t, "Set-Cookie", x.header.Get("Set-Cookie"), "kamal-sticky=abc; Path=/; HttpOnly; SameSite=Lax; Secure")
}
