package certs

import (
	"crypto/tls"
	"net/http"
	"testing"

	"golang.org/x/crypto/acme"

	"kamal-proxy/actors/spec"
)

func domain(host string) []acme.AuthzID { return acme.DomainIDs(host) }

func TestChallengesOfAutomaticHostsAreOurs(t *testing.T) {
	p, log := newPolicy(t, nil)
	p.Put("web", newRecord(nil, "app.example.com"), nil, nil)
	p.Put("own", newRecord(custom, "own.example.com", "*.own.example.com"), newCertificate(t, "own"), nil)
	p.Put("plain", newRecord(plain, "plain.example.com"), nil, nil)
	_, terms, _ := p.find("app.example.com")
	if err := terms.issuer.folder.Put(t.Context(), "known-token_1+http-01", []byte("known-token_1.thumb")); err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		host, path string
		status     int // 0: the app's
		body       string
	}{
		{"app.example.com", challengePrefix + "known-token_1", 200, "known-token_1.thumb"},
		{"App.Example.Com.:8080", challengePrefix + "known-token_1", 200, "known-token_1.thumb"},
		{"app.example.com", challengePrefix + "unknown", 404, ""},
		{"app.example.com", challengePrefix, 404, ""},
		{"app.example.com", challengePrefix + "../../etc/passwd", 404, ""},
		{"app.example.com", challengePrefix + "known-token_1/", 404, ""},
		{"app.example.com", "/.well-known/other", 0, ""},
		{"app.example.com", "/", 0, ""},
		{"own.example.com", challengePrefix + "known-token_1", 0, ""},
		{"a.own.example.com", challengePrefix + "known-token_1", 0, ""},
		{"plain.example.com", challengePrefix + "known-token_1", 0, ""},
		{"unknown.example.com", challengePrefix + "known-token_1", 0, ""},
		{"", challengePrefix + "known-token_1", 0, ""},
	} {
		body, status, ours := p.Challenge(test.host, test.path)
		if ours != (test.status != 0) || ours && status != test.status || string(body) != test.body {
			t.Errorf("%s%s: %d %q, ours is %v; want %d %q", test.host, test.path, status, body, ours, test.status, test.body)
		}
	}
	if text := log.String(); text != "" {
		t.Errorf("questions were logged: %s", text)
	}
}

func TestChallengesOfOnDemandHostsAreOurs(t *testing.T) {
	p, _ := newPolicy(t, nil)
	p.Put("shop", newRecord(func(r *spec.Record) { r.Options.TLSOnDemandURL = "/allow" }), nil, nil)
	p.Put("plain", newRecord(plain, "plain.example.com"), nil, nil)
	if _, status, ours := p.Challenge("customer.example.com", challengePrefix+"x"); !ours || status != http.StatusNotFound {
		t.Errorf("a customer's challenge: %d, ours is %v", status, ours)
	}
	if _, _, ours := p.Challenge("plain.example.com", challengePrefix+"x"); ours {
		t.Error("the challenge of a service without TLS is taken from its app")
	}
}

func TestJunkChallengeHandshakesFail(t *testing.T) {
	p, log := newPolicy(t, nil)
	p.Put("web", newRecord(nil, "app.example.com"), nil, nil)
	p.Put("own", newRecord(custom, "own.example.com"), newCertificate(t, "own"), nil)
	for _, host := range []string{"app.example.com", "own.example.com", "unknown.example.com", ""} {
		if _, err := handshakeAs(p, &tls.Config{ServerName: host, NextProtos: []string{acme.ALPNProto}}); err == nil {
			t.Errorf("%q: a challenge without a token is answered", host)
		}
	}
	if n := pursuits(p); n != 0 {
		t.Errorf("%d certificates were tried to get", n)
	}
	if text := log.String(); text != "" {
		t.Errorf("handshakes were logged: %s", text)
	}
}
