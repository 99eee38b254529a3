package certs

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// deadEnd is an authority that cannot be reached.
type deadEnd struct {
	calls atomic.Int32
	reply func(*http.Request) (*http.Response, error)
}

func (d *deadEnd) RoundTrip(r *http.Request) (*http.Response, error) {
	d.calls.Add(1)
	if d.reply != nil {
		return d.reply(r)
	}
	return nil, errors.New("no route to the authority")
}

// newDeadEnd is a policy with one automatic service.
func newDeadEnd(t *testing.T, host string) (*Policy, *issuer, *deadEnd, *journal) {
	p, log := newPolicy(t, nil)
	p.Put("web", newRecord(nil, host), nil, nil)
	_, terms, err := p.find(host)
	if err != nil {
		t.Fatal(err)
	}
	dead := &deadEnd{}
	terms.issuer.courier.next = dead
	return p, terms.issuer, dead, log
}

// try is what a handshake does to get a certificate.
func try(i *issuer, host string) error {
	a, err := i.pursuit(key{host: host}).join(i.policy.view.terms(host))
	if err != nil {
		return err
	}
	<-a.done
	return a.err
}

func TestFailuresAreBackedOff(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, i, dead, log := newDeadEnd(t, "app.example.com")
		begin := time.Now()
		var attempts []time.Duration
		for time.Since(begin) < 4*time.Hour {
			before := dead.calls.Load()
			if try(i, "app.example.com") == nil {
				t.Fatal("there is a certificate")
			}
			if dead.calls.Load() > before {
				attempts = append(attempts, time.Since(begin).Round(time.Minute))
			}
			time.Sleep(10 * time.Second)
		}
		want := []time.Duration{0, 5 * time.Minute, 20 * time.Minute, 65 * time.Minute, 125 * time.Minute, 185 * time.Minute}
		if len(attempts) != len(want) {
			t.Fatalf("attempts at %v, want %v", attempts, want)
		}
		for n := range want {
			if off := attempts[n] - want[n]; off < -time.Minute || off > time.Minute {
				t.Errorf("attempts at %v, want %v", attempts, want)
			}
		}
		if n := log.count("Unable to get a certificate"); n < 3 || n > 4 {
			t.Errorf("%d lines in 4 hours: %s", n, log)
		}
		if !strings.Contains(log.String(), "no route to the authority") {
			t.Errorf("the log does not say why: %s", log)
		}
	})
}

func TestADeployTriesAgainAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, i, dead, _ := newDeadEnd(t, "app.example.com")
		try(i, "app.example.com")
		time.Sleep(2 * time.Minute)
		if err := try(i, "app.example.com"); err == nil || !strings.Contains(err.Error(), "the next is in 3m0s") {
			t.Errorf("the second handshake fails with %v", err)
		}
		first := dead.calls.Load()
		p.Put("web", newRecord(nil, "app.example.com"), nil, nil)
		try(i, "app.example.com")
		if dead.calls.Load() == first {
			t.Error("nothing was tried after a deploy")
		}
	})
}

func TestTheAuthoritysOwnPauseIsKept(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, i, dead, _ := newDeadEnd(t, "app.example.com")
		dead.reply = func(r *http.Request) (*http.Response, error) {
			return &http.Response{
				StatusCode: http.StatusTooManyRequests,
				Header:     http.Header{"Retry-After": {"7200"}, "Content-Type": {"application/problem+json"}},
				Body:       http.NoBody,
				Request:    r,
			}, nil
		}
		dead.reply = withProblem(dead.reply, `{"type":"urn:ietf:params:acme:error:rateLimited","detail":"too many","status":429}`)
		try(i, "app.example.com")
		if n := dead.calls.Load(); n != 1 {
			t.Errorf("a rate limit is answered with %d requests, want 1", n)
		}
		time.Sleep(119 * time.Minute)
		p.Put("web", newRecord(nil, "app.example.com"), nil, nil)
		try(i, "app.example.com")
		if n := dead.calls.Load(); n != 1 {
			t.Errorf("tried again before the authority's time")
		}
		time.Sleep(2 * time.Minute)
		try(i, "app.example.com")
		if n := dead.calls.Load(); n != 2 {
			t.Errorf("not tried again after the authority's time")
		}
	})
}

func withProblem(reply func(*http.Request) (*http.Response, error), problem string) func(*http.Request) (*http.Response, error) {
	return func(r *http.Request) (*http.Response, error) {
		response, err := reply(r)
		response.Body = readCloser{strings.NewReader(problem)}
		return response, err
	}
}

type readCloser struct{ *strings.Reader }

func (readCloser) Close() error { return nil }

func TestRequestsAreRetriedAFewTimes(t *testing.T) {
	reply := func(status int, after string) *http.Response {
		return &http.Response{StatusCode: status, Header: http.Header{"Retry-After": {after}}}
	}
	for _, test := range []struct {
		n      int
		status int
		after  string
		want   time.Duration
	}{
		{1, 400, "", 250 * time.Millisecond}, // a nonce that is too old
		{5, 503, "", 1250 * time.Millisecond},
		{6, 503, "", 0},
		{1, 503, "3", 3 * time.Second},
		{1, 503, "3600", 0},
		{1, 503, "Wed, 21 Oct 2026 07:28:00 GMT", 0},
		{1, 429, "", 0},
		{1, 429, "1", 0},
	} {
		if got := retryBackoff(test.n, nil, reply(test.status, test.after)); got != test.want {
			t.Errorf("try %d after %d, Retry-After %q: %v, want %v", test.n, test.status, test.after, got, test.want)
		}
	}
}

func TestACertificateThatIsNotRenewedIsTold(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, i, _, log := newDeadEnd(t, "app.example.com")
		u := i.pursuit(key{host: "app.example.com"})
		u.since = time.Now()
		time.Sleep(2 * quiet)
		now := time.Now()
		leaf := &x509.Certificate{NotBefore: now.Add(-80 * time.Hour), NotAfter: now.Add(21 * time.Hour)}
		u.watch(&tls.Certificate{Leaf: leaf})
		if text := log.String(); text != "" {
			t.Errorf("told too early: %s", text)
		}
		time.Sleep(2 * time.Hour)
		u.watch(&tls.Certificate{Leaf: leaf})
		u.watch(&tls.Certificate{Leaf: leaf})
		if n := log.count("Unable to renew"); n != 1 {
			t.Errorf("told %d times, want once: %s", n, log)
		}
	})
}

func TestHostsThatNobodyTriesAreForgotten(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, i, _, _ := newDeadEnd(t, "app.example.com")
		try(i, "app.example.com")
		if pursuits(p) != 1 {
			t.Fatal("the failure is not remembered")
		}
		time.Sleep(3 * time.Hour)
		synctest.Wait()
		if n := pursuits(p); n != 0 {
			t.Errorf("%d failures are remembered for ever", n)
		}
	})
}

func TestAHandshakeDoesNotWaitForEver(t *testing.T) {
	p, i, dead, _ := newDeadEnd(t, "app.example.com")
	p.config.Wait = 50 * time.Millisecond
	release := make(chan struct{})
	dead.reply = func(*http.Request) (*http.Response, error) { <-release; return nil, errors.New("gone") }
	wantName(t, p, "app.example.com", "")
	close(release)
	u := i.pursuit(key{host: "app.example.com"})
	eventually(t, "the attempt's end", func() bool {
		u.mu.Lock()
		defer u.mu.Unlock()
		return u.attempt == nil && u.failures == 1
	})
}

func TestACertificateOnDiskIsUsed(t *testing.T) {
	p, i, dead, log := newDeadEnd(t, "app.example.com")
	keep(t, i, "app.example.com", "kept", time.Now().Add(time.Hour))
	wantName(t, p, "app.example.com", "kept")
	if n := dead.calls.Load(); n != 0 {
		t.Errorf("the authority was asked %d times", n)
	}
	p.Remove("web")
	wantName(t, p, "app.example.com", "")
	p.Put("again", newRecord(nil, "app.example.com"), nil, nil)
	wantName(t, p, "app.example.com", "kept")
	if text := log.String(); text != "" {
		t.Errorf("logged: %s", text)
	}
}

func TestADamagedCertificateIsReplaced(t *testing.T) {
	p, i, dead, log := newDeadEnd(t, "app.example.com")
	keep(t, i, "app.example.com", "kept", time.Now().Add(time.Hour))
	file := filepath.Join(string(i.folder.DirCache), "app.example.com")
	if err := os.WriteFile(file, []byte("-----BEGIN EC PRIVATE KEY-----\nAAAA\n-----END EC PRIVATE KEY-----\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	wantName(t, p, "app.example.com", "")
	if dead.calls.Load() == 0 {
		t.Error("no other certificate was asked for")
	}
	if log.count("is damaged") != 1 {
		t.Errorf("the damage is not told: %s", log)
	}
}

func TestACertificateOnDiskNeedsNoQuestion(t *testing.T) {
	e := newEndpoint(t, answerWith(http.StatusForbidden, "no"))
	p, _ := newPolicy(t, nil)
	p.Put("shop", newRecord(onDemand(t, e.URL)), nil, nil)
	_, terms, _ := p.find("customer.example.com")
	keep(t, terms.issuer, "customer.example.com", "kept", time.Now().Add(time.Hour))
	wantName(t, p, "customer.example.com", "kept")
	if got := e.questions(); len(got) != 0 {
		t.Errorf("asked %q", got)
	}
	if terms.issuer.obtain(terms, key{host: "customer.example.com", rsa: true}); len(e.questions()) != 0 {
		t.Errorf("asked %q, because a client needs another kind of key", e.questions())
	}
	keep(t, terms.issuer, "old.example.com", "old", time.Now().Add(-time.Minute))
	wantName(t, p, "old.example.com", "")
	if got := e.questions(); len(got) != 1 {
		t.Errorf("asked %q about a host whose certificate is over, want one question", got)
	}
}

// keep puts a certificate into the issuer's folder, as autocert writes it.
func keep(t *testing.T, i *issuer, host, name string, ends time.Time) {
	t.Helper()
	chain, private := newPair(t, name, ends, host)
	if err := i.folder.Put(t.Context(), host, append(private, chain...)); err != nil {
		t.Fatal(err)
	}
}

func TestThePausesGrow(t *testing.T) {
	for failures, want := range []time.Duration{5 * time.Minute, 15 * time.Minute, 45 * time.Minute, time.Hour, time.Hour} {
		if got := pauseAfter(failures); got != want {
			t.Errorf("after %d failures %v, want %v", failures, got, want)
		}
	}
	if got := pauseAfter(1000); got != time.Hour {
		t.Errorf("after 1000 failures %v", got)
	}
}

func TestClientsOfTLS13GetECDSA(t *testing.T) {
	modern := &tls.ClientHelloInfo{
		ServerName:        "app.example.com",
		SupportedVersions: []uint16{tls.VersionTLS13},
		CipherSuites:      []uint16{tls.TLS_AES_128_GCM_SHA256},
		SignatureSchemes:  []tls.SignatureScheme{tls.ECDSAWithP256AndSHA256, tls.PSSWithSHA256},
		SupportedCurves:   []tls.CurveID{tls.X25519},
	}
	if needsRSA(modern) {
		t.Error("a client of TLS 1.3 alone is taken for one without ECDSA")
	}
	old := &tls.ClientHelloInfo{
		SupportedVersions: []uint16{tls.VersionTLS12},
		CipherSuites:      []uint16{tls.TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256},
		SignatureSchemes:  []tls.SignatureScheme{tls.PKCS1WithSHA256},
		SupportedCurves:   []tls.CurveID{tls.CurveP256},
		SupportedPoints:   []uint8{0},
	}
	if !needsRSA(old) {
		t.Error("a client without ECDSA is not seen")
	}
}
