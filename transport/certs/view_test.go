package certs

import (
	"crypto/tls"
	"fmt"
	"sync"
	"testing"

	"kamal-proxy/actors/spec"
)

func TestHandshakeGetsTheCertificateOfItsHost(t *testing.T) {
	p, log := newPolicy(t, nil)
	p.Put("web", newRecord(custom, "app.example.com", "www.example.com"), newCertificate(t, "web"), nil)
	p.Put("tenants", newRecord(custom, "*.example.com"), newCertificate(t, "tenants"), nil)
	p.Put("plain", newRecord(plain, "plain.example.com"), nil, nil)
	p.Put("api", newRecord(func(r *spec.Record) { plain(r); r.Options.PathPrefixes = []string{"/api"} }, "app.example.com"), nil, nil)

	for serverName, want := range map[string]string{
		"app.example.com":   "web",
		"www.example.com":   "web",
		"APP.Example.Com":   "web",
		"any.example.com":   "tenants",
		"plain.example.com": "", // it is served, but not over TLS
		"a.b.example.com":   "", // a wildcard is one label
		"example.com":       "",
		"example.org":       "",
		"localhost":         "",
	} {
		wantName(t, p, serverName, want)
	}
	if text := log.String(); text != "" {
		t.Errorf("handshakes were logged: %s", text)
	}
}

func TestServerNamesAreComparedLikeHosts(t *testing.T) {
	p, _ := newPolicy(t, nil)
	p.Put("web", newRecord(custom, "app.example.com", "*.apps.example.com", "xn--bcher-kva.example"), newCertificate(t, "web"), nil)
	for serverName, want := range map[string]string{
		"App.Example.Com.":      "app.example.com",
		"bücher.example":        "xn--bcher-kva.example",
		"One.Apps.Example.Com.": "one.apps.example.com",
	} {
		host, _, err := p.find(serverName)
		if err != nil || host != want {
			t.Errorf("%q is taken as %q (%v), want %q", serverName, host, err, want)
		}
	}
	for _, serverName := range []string{"*", "*.apps.example.com", "app.example.com:443", "app..example.com", "\xff.example.com", " "} {
		if host, _, err := p.find(serverName); err == nil {
			t.Errorf("%q is taken as %q, want an error", serverName, host)
		}
	}
}

func TestWithoutServerNameTheFirstServiceByNameAnswers(t *testing.T) {
	p, _ := newPolicy(t, nil)
	wantName(t, p, "", "")
	p.Put("c", newRecord(custom, "c.example.com"), newCertificate(t, "c"), nil)
	p.Put("b", newRecord(custom, "b.example.com"), newCertificate(t, "b"), nil)
	p.Put("a", newRecord(plain, "a.example.com"), nil, nil)
	p.Put("0", newRecord(func(r *spec.Record) { r.Options.TLSOnDemandURL = "/allow" }), nil, nil)
	wantName(t, p, "", "b")
	p.Put("a", newRecord(custom, "a.example.com"), newCertificate(t, "a"), nil)
	wantName(t, p, "", "a")
	p.Put("a", newRecord(plain, "a.example.com"), nil, nil)
	p.Remove("b")
	wantName(t, p, "", "c")
	p.Remove("c")
	wantName(t, p, "", "")
}

func TestPutAndRemoveChangeWhatHandshakesGet(t *testing.T) {
	p, _ := newPolicy(t, nil)
	p.Put("web", newRecord(custom, "a.example.com", "b.example.com"), newCertificate(t, "first"), nil)
	p.Put("web", newRecord(custom, "a.example.com", "b.example.com"), newCertificate(t, "second"), nil)
	wantName(t, p, "a.example.com", "second")

	p.Put("web", newRecord(custom, "b.example.com", "c.example.com"), newCertificate(t, "third"), nil)
	wantName(t, p, "a.example.com", "")
	wantName(t, p, "b.example.com", "third")
	wantName(t, p, "c.example.com", "third")

	p.Put("web", newRecord(plain, "b.example.com", "c.example.com"), nil, nil)
	wantName(t, p, "b.example.com", "")

	p.Put("web", newRecord(custom, "b.example.com"), newCertificate(t, "fourth"), nil)
	wantName(t, p, "b.example.com", "fourth")
	p.Remove("web")
	p.Remove("web")
	wantName(t, p, "b.example.com", "")
	if n := places(p); n != 0 {
		t.Errorf("%d hosts are left of no service", n)
	}
}

func TestAServiceWhoseCertificateIsGoneHasNone(t *testing.T) {
	p, _ := newPolicy(t, nil)
	p.Put("web", newRecord(custom, "app.example.com"), nil, nil)
	wantName(t, p, "app.example.com", "")
}

func TestTheFirstServiceKeepsAHostThatTwoWant(t *testing.T) {
	p, _ := newPolicy(t, nil)
	p.Put("a", newRecord(custom, "app.example.com"), newCertificate(t, "a"), nil)
	p.Put("b", newRecord(custom, "app.example.com"), newCertificate(t, "b"), nil)
	wantName(t, p, "app.example.com", "a")
	p.Remove("a")
	p.Put("b", newRecord(custom, "app.example.com"), newCertificate(t, "b"), nil)
	wantName(t, p, "app.example.com", "b")
}

func TestAHostMovesFromOneServiceToAnother(t *testing.T) {
	p, _ := newPolicy(t, nil)
	p.Put("old", newRecord(custom, "app.example.com"), newCertificate(t, "old"), nil)
	p.Put("old", newRecord(custom, "old.example.com"), newCertificate(t, "old"), nil)
	p.Put("new", newRecord(custom, "app.example.com"), newCertificate(t, "new"), nil)
	wantName(t, p, "app.example.com", "new")
	wantName(t, p, "old.example.com", "old")
}

func TestNobodyGetsCertificatesForMadeUpHosts(t *testing.T) {
	p, log := newPolicy(t, nil)
	p.Put("any", newRecord(nil), nil, nil)                   // as no deploy, but a state file may have it
	p.Put("wild", newRecord(nil, "*.example.com"), nil, nil) // nor this
	for _, serverName := range []string{"made.up.org", "made.example.com"} {
		wantName(t, p, serverName, "")
	}
	if n := pursuits(p); n != 0 {
		t.Errorf("%d certificates were tried to get", n)
	}
	if text := log.String(); text != "" {
		t.Errorf("handshakes were logged: %s", text)
	}
}

func TestHandshakesGoOnWhileServicesChange(t *testing.T) {
	p, _ := newPolicy(t, nil)
	certificate := newCertificate(t, "web")
	p.Put("web", newRecord(custom, "app.example.com"), certificate, nil)
	var readers sync.WaitGroup
	stop := make(chan struct{})
	for range 2 {
		readers.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
				}
				if got, err := p.GetCertificate(&tls.ClientHelloInfo{ServerName: "app.example.com"}); err != nil || got != certificate {
					t.Errorf("the host lost its certificate: %v", err)
					return
				}
				p.GetCertificate(&tls.ClientHelloInfo{})
			}
		})
	}
	for n := range 500 {
		p.Put("web", newRecord(custom, "app.example.com", fmt.Sprintf("h%d.example.com", n)), certificate, nil)
		p.Put("other", newRecord(custom, fmt.Sprintf("o%d.example.com", n)), certificate, nil)
		p.Remove("other")
	}
	close(stop)
	readers.Wait()
}

func TestPutCostsNoMoreThanWhatChanges(t *testing.T) {
	p, _ := newPolicy(t, nil)
	certificate := newCertificate(t, "web")
	hosts := make([]string, 5000)
	for n := range hosts {
		hosts[n] = fmt.Sprintf("h%d.example.com", n)
	}
	record := newRecord(custom, hosts...)
	p.Put("web", record, certificate, nil)
	if allocations := testing.AllocsPerRun(100, func() { p.Put("web", record, certificate, nil) }); allocations > 50 {
		t.Errorf("a redeploy of the same 5,000 hosts allocates %v times", allocations)
	}
}

func places(p *Policy) (n int) {
	p.view.places.Range(func(any, any) bool { n++; return true })
	return n
}

func pursuits(p *Policy) (n int) {
	for _, i := range p.issuers {
		i.pursuits.Range(func(any, any) bool { n++; return true })
	}
	return n
}
