package proxy

import (
	"fmt"
	"strings"
	"testing"
)

func TestChallenges(t *testing.T) {
	const known, unknown = "/.well-known/acme-challenge/known", "/.well-known/acme-challenge/other"
	for _, c := range []struct {
		name, scheme, path string
		ours               bool
		asked              bool // Challenge was
		answer             string
	}{
		{"known token", "http", known, true, true, "200 text/plain proof"},
		{"unknown token", "http", unknown, true, true, "404 text/html; charset=utf-8 <"},
		{"the app's own", "http", known, false, true, "200  app"},
		{"over https", "https", known, true, false, "200  app"},
		{"another path", "http", "/.well-known/other", true, false, "200  app"},
		{"the folder", "http", "/.well-known/acme-challenge", true, false, "200  app"},
	} {
		s := newStage(answers(200, "app", 3))
		asked := ""
		s.config.Challenge = func(authority, path string) ([]byte, int, bool) {
			asked = authority + path
			switch {
			case !c.ours:
				return nil, 0, false
			case path == known:
				return []byte("proof"), 200, true
			}
			return nil, 404, true
		}
		forwarded := strings.HasSuffix(c.answer, "app")
		if !forwarded {
			s.verdict.Lease = nil
		}
		x := newExchange("GET", c.path+"?x")
		x.request.Scheme = c.scheme
		entry := s.serve(t, x)
		got := fmt.Sprint(x.status, " ", x.header.Get("Content-Type"), " ", x.body.String())
		expect(t, c.name+": answer", strings.HasPrefix(got, c.answer), true)
		expect(t, c.name+": asked", asked, map[bool]string{true: "example.com" + c.path}[c.asked])
		expect(t, c.name+": question to the registry", s.asked.Path != "", forwarded)
		expect(t, c.name+": logged", fmt.Sprint(entry.Path, " ", entry.Status, " ", entry.Service, entry.Target),
			fmt.Sprint(c.path, " ", x.status, " ", map[bool]string{true: "appweb:80"}[forwarded]))
	}
}

func TestNoChallenges(t *testing.T) {
	s := newStage(answers(200, "app", 3))
	x := newExchange("GET", "/.well-known/acme-challenge/x")
	s.serve(t, x)
	expect(t, "body", x.body.String(), "app")
}
