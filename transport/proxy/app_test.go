package proxy

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"kamal-proxy/actors/service"
	"kamal-proxy/transport/exchange"
	"kamal-proxy/transport/upstream"
)

func TestAskApp(t *testing.T) {
	var got *http.Request
	app := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		got = r
		w.WriteHeader(403)
		io.WriteString(w, strings.Repeat("no ", 1000))
	}))
	defer app.Close()
	target := upstream.New(upstream.Options{Address: app.Listener.Addr().String()})
	defer target.Close()
	s := newStage(target)
	s.verdict.Prefix = "/app"
	status, body, err := s.AskApp(context.Background(), "app", "New.Example.com", "/app/allowed?a=b;c&host=new.example.com")
	if err != nil {
		t.Fatal(err)
	}
	expect(t, "status", status, 403)
	expect(t, "bytes of the body", len(body), 256)
	expect(t, "facts", s.asked, service.Facts{Host: "new.example.com", Path: "/app/allowed", Method: "GET", TLS: true})
	expect(t, "request", got.Method+" "+got.RequestURI, "GET /allowed?a=b;c&host=new.example.com")
	expect(t, "Host", got.Host, "New.Example.com")
	expect(t, "User-Agent", got.UserAgent(), "kamal-proxy")
	expect(t, "X-Forwarded-Proto", got.Header.Get("X-Forwarded-Proto"), "https")
	expect(t, "goodbyes", s.finished, 1)
	expect(t, "lines of the access log", len(s.entries), 0)
}

func TestAnotherTargetOfTheAppIsAsked(t *testing.T) {
	s := newStage(fails(unanswered(true)))
	s.elsewhere("two:80", fails(unanswered(false)))
	s.elsewhere("three:80", answers(200, "yes", 3))
	status, body, err := s.AskApp(context.Background(), "app", "a.example", "/allowed")
	if err != nil || status != 200 || string(body) != "yes" {
		t.Errorf("it is answered %d %q, %v", status, body, err)
	}
	expect(t, "goodbyes", s.finished, 1)

	s = newStage(fails(unanswered(true)))
	if _, _, err := s.AskApp(context.Background(), "app", "a.example", "/allowed"); !errors.Is(err, upstream.ErrUnreachable) {
		t.Errorf("without another one it ends with %v", err)
	}
	expect(t, "goodbyes", s.finished, 1)
}

func TestAppIsNotAsked(t *testing.T) {
	for _, c := range []struct {
		name    string
		verdict service.Verdict
		words   string
	}{
		{"another service", service.Verdict{Action: service.Forward, Service: "other"}, "belongs to other, and not to app"},
		{"no service", service.Verdict{Action: service.Respond, Status: 404}, "belongs to no service"},
		{"stopped", service.Verdict{Action: service.Respond, Service: "app", Status: 503}, "answered by the proxy itself, with 503"},
		{"redirected", service.Verdict{Action: service.Redirect, Service: "app"}, "redirected by app"},
	} {
		target := answers(200, "yes", 3)
		s := newStage(target)
		if c.verdict.Action == service.Forward {
			c.verdict.Target, c.verdict.Lease = target, &s.lease
		}
		s.verdict = c.verdict
		status, _, err := s.AskApp(context.Background(), "app", "a.example", "/allowed?x")
		if err == nil || !errors.Is(err, errNotAsked) || !strings.Contains(err.Error(), c.words) {
			t.Errorf("%s: the error is %v, which lacks %q", c.name, err, c.words)
		}
		expect(t, c.name+": status", status, 0)
		expect(t, c.name+": target asked", target.got.Method, "")
		expect(t, c.name+": goodbyes", s.finished, map[bool]int{true: 1}[c.verdict.Lease != nil])
	}
}

func TestAppOfAPausedServiceIsWaitedFor(t *testing.T) {
	s := newStage(answers(200, "yes", 3))
	s.held = true
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Millisecond)
	defer cancel()
	if _, _, err := s.AskApp(ctx, "app", "a.example", "/allowed"); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("the error is %v", err)
	}
	expect(t, "leaves", s.left, 1)
	expect(t, "goodbyes", s.finished, 0)
}

func TestAppThatFails(t *testing.T) {
	for name, target := range map[string]service.Upstream{
		"broken":    fails(upstream.ErrBroken),
		"no sender": noSender{},
		"cut off":   nil,
	} {
		var s *stage
		if target == nil {
			target = waits(func() { s.cut(service.ErrDrained) })
		}
		s = newStage(target)
		if _, _, err := s.AskApp(context.Background(), "app", "a.example", "/allowed"); err == nil {
			t.Errorf("%s: there is no error", name)
		}
		expect(t, name+": goodbyes", s.finished, 1)
	}
}

type noSender struct{}

func (noSender) Close() {}

// A denial whose reasons are cut short is still one.
func TestAppWhoseBodyBreaksOffHasAnswered(t *testing.T) {
	target := &fakeTarget{answer: func(context.Context, func(int, exchange.Header) error) (*exchange.Response, error) {
		return &exchange.Response{Status: 404, ContentLength: 10, Body: io.MultiReader(
			strings.NewReader("no"), readerFunc(func([]byte) (int, error) { return 0, io.ErrUnexpectedEOF }),
		)}, nil
	}}
	s := newStage(target)
	status, body, err := s.AskApp(context.Background(), "app", "a.example", "/allowed")
	expect(t, "answer", fmt.Sprint(status, " ", string(body), " ", err), "404 no <nil>")
	expect(t, "closed", target.closed, 1)
	expect(t, "goodbyes", s.finished, 1)
}
