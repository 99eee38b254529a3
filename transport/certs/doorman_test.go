package certs

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"kamal-proxy/actors/spec"
	"kamal-proxy/transport/calm"
)

// endpoint is an on-demand URL, and an authority that must not be needed.
type endpoint struct {
	*httptest.Server
	mu      sync.Mutex
	asked   []string // method and request URI
	handler http.HandlerFunc
}

func newEndpoint(t testing.TB, handler http.HandlerFunc) *endpoint {
	e := &endpoint{handler: handler}
	e.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		e.mu.Lock()
		e.asked = append(e.asked, r.Method+" "+r.RequestURI)
		e.mu.Unlock()
		e.handler(w, r)
	}))
	t.Cleanup(e.Close)
	return e
}

func (e *endpoint) questions() []string {
	e.mu.Lock()
	defer e.mu.Unlock()
	return append([]string(nil), e.asked...)
}

func answerWith(status int, body string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(status)
		w.Write([]byte(body))
	}
}

// onDemand asks url; its authority answers nothing but 503.
func onDemand(t testing.TB, url string) func(*spec.Record) {
	broken := httptest.NewServer(answerWith(http.StatusServiceUnavailable, "closed"))
	t.Cleanup(broken.Close)
	return func(r *spec.Record) {
		r.Options.TLSOnDemandURL = url
		r.Options.ACMEDirectory = broken.URL
	}
}

func TestOnDemandAsksAboutTheHostAndDenies(t *testing.T) {
	e := newEndpoint(t, answerWith(http.StatusForbidden, "no such shop "+strings.Repeat("x", 1000)))
	p, log := newPolicy(t, nil)
	p.Put("shop", newRecord(onDemand(t, e.URL+"/allow?key=a%2Fb;c")), nil, nil)

	for range 3 {
		wantName(t, p, "Customer.example.com", "")
	}
	want := "GET /allow?key=a%2Fb;c&host=customer.example.com"
	if got := e.questions(); len(got) != 1 || got[0] != want {
		t.Errorf("asked %q, want once %q", got, want)
	}
	if n := pursuits(p); n != 0 {
		t.Errorf("%d denied hosts are remembered outside the answers", n)
	}
	text := log.String()
	if log.count("says no") != 1 || !strings.Contains(text, "no such shop") || !strings.Contains(text, "customer.example.com") {
		t.Errorf("the denial is logged as %s", text)
	}
	if strings.Contains(text, strings.Repeat("x", maxDenial)) {
		t.Errorf("more than %d bytes of the denial are logged: %s", maxDenial, text)
	}
}

func TestOnlyTwoHundredAllows(t *testing.T) {
	var elsewhere atomic.Int32
	var e *endpoint
	e = newEndpoint(t, func(w http.ResponseWriter, r *http.Request) {
		switch host := r.URL.Query().Get("host"); host {
		case "redirected.example.com":
			http.Redirect(w, r, e.URL+"/elsewhere?host="+host, http.StatusFound)
		case "created.example.com":
			w.WriteHeader(http.StatusCreated)
		}
		if r.URL.Path == "/elsewhere" {
			elsewhere.Add(1)
		}
	})
	p, _ := newPolicy(t, nil)
	service := newRecord(onDemand(t, e.URL))
	p.Put("shop", service, nil, nil)
	_, terms, _ := p.find("x.example.com")
	for host, allowed := range map[string]bool{
		"good.example.com": true, "created.example.com": false, "redirected.example.com": false,
	} {
		if err := p.doorman.admit(terms, host); (err == nil) != allowed {
			t.Errorf("%s: allowed is %v, want %v: %v", host, err == nil, allowed, err)
		}
	}
	before := len(e.questions())
	p.doorman.admit(terms, "good.example.com")
	if n := len(e.questions()) - before; n != 0 {
		t.Error("a yes is not remembered")
	}
	if elsewhere.Load() != 0 {
		t.Error("a redirect was followed")
	}
}

func TestOnDemandGivesUpOnASlowEndpoint(t *testing.T) {
	calm.Try(t, func(t testing.TB, unit time.Duration) {
		release := make(chan struct{})
		e := newEndpoint(t, func(http.ResponseWriter, *http.Request) { <-release })
		defer close(release)
		limit := 4 * unit
		p, _ := newPolicy(t, func(c *Config) { c.AskTimeout = limit })
		p.Put("shop", newRecord(onDemand(t, e.URL)), nil, nil)
		begin := time.Now()
		wantName(t, p, "slow.example.com", "")
		if took := time.Since(begin); took < limit || took > 2*limit {
			t.Errorf("gave up after %v, want %v", took, limit)
		}
		begin = time.Now()
		wantName(t, p, "slow.example.com", "")
		if took := time.Since(begin); took > limit/2 {
			t.Errorf("the next handshake waited again, for %v", took)
		}
	})
}

func TestOnDemandAsksFewAtATime(t *testing.T) {
	var now, most atomic.Int32
	e := newEndpoint(t, func(w http.ResponseWriter, _ *http.Request) {
		n := now.Add(1)
		defer now.Add(-1)
		for old := most.Load(); n > old && !most.CompareAndSwap(old, n); old = most.Load() {
		}
		time.Sleep(20 * time.Millisecond)
		w.WriteHeader(http.StatusForbidden)
	})
	p, _ := newPolicy(t, func(c *Config) { c.MaxAsks = 3 })
	p.Put("shop", newRecord(onDemand(t, e.URL)), nil, nil)
	var clients sync.WaitGroup
	for n := range 24 {
		clients.Go(func() { handshake(p, fmt.Sprintf("h%d.example.com", n)) })
	}
	clients.Wait()
	if got := len(e.questions()); got != 24 {
		t.Errorf("asked %d times, want 24", got)
	}
	if most.Load() > 3 {
		t.Errorf("%d questions at a time, want 3", most.Load())
	}
}

func TestHandshakesOfOneHostAskOnce(t *testing.T) {
	release := make(chan struct{})
	e := newEndpoint(t, func(w http.ResponseWriter, _ *http.Request) {
		<-release
		w.WriteHeader(http.StatusForbidden)
	})
	p, _ := newPolicy(t, nil)
	p.Put("shop", newRecord(onDemand(t, e.URL)), nil, nil)
	var clients sync.WaitGroup
	for range 8 {
		clients.Go(func() { handshake(p, "one.example.com") })
	}
	eventually(t, "the question", func() bool { return len(e.questions()) > 0 })
	close(release)
	clients.Wait()
	if got := e.questions(); len(got) != 1 {
		t.Errorf("asked %q, want one question", got)
	}
}

func TestOnDemandByPathAsksTheApp(t *testing.T) {
	type call struct{ service, host, target string }
	var calls []call
	p, log := newPolicy(t, func(c *Config) {
		c.AskApp = func(ctx context.Context, service, host, target string) (int, []byte, error) {
			if _, limited := ctx.Deadline(); !limited {
				t.Error("the question has no time limit")
			}
			calls = append(calls, call{service, host, target})
			return http.StatusNotFound, []byte(strings.Repeat("x", 1000)), nil
		}
	})
	path := onDemand(t, "/tls?x=1")
	p.Put("shop", newRecord(path), nil, nil)
	wantName(t, p, "a.example.com", "")
	if want := (call{"shop", "a.example.com", "/tls?x=1&host=a.example.com"}); len(calls) != 1 || calls[0] != want {
		t.Errorf("the app is asked %v, want %v", calls, want)
	}
	if text := log.String(); !strings.Contains(text, strings.Repeat("x", maxDenial)) || strings.Contains(text, strings.Repeat("x", maxDenial+1)) {
		t.Errorf("not %d bytes of the denial are logged: %s", maxDenial, text)
	}

	p.Put("shop", newRecord(func(r *spec.Record) { path(r); r.PauseController.State = spec.Stopped }), nil, nil)
	wantName(t, p, "b.example.com", "")
	if len(calls) != 1 {
		t.Errorf("the app of a stopped service is asked: %v", calls)
	}
	p.Put("shop", newRecord(path), nil, nil)
	wantName(t, p, "b.example.com", "")
	if len(calls) != 2 {
		t.Errorf("the app is asked %d times after resume, want 2", len(calls))
	}
}

func TestNobodyIsAskedAboutWhatIsNoHost(t *testing.T) {
	e := newEndpoint(t, answerWith(http.StatusOK, ""))
	p, log := newPolicy(t, nil)
	p.Put("shop", newRecord(onDemand(t, e.URL)), nil, nil)
	p.Put("web", newRecord(plain, "plain.example.com"), nil, nil)
	for _, host := range []string{"localhost", "10.0.0.1", "plain.example.com", "a..b", ""} {
		wantName(t, p, host, "")
		p.GetCertificate(&tls.ClientHelloInfo{ServerName: host})
	}
	if got := e.questions(); len(got) != 0 {
		t.Errorf("asked %q", got)
	}
	if text := log.String(); text != "" {
		t.Errorf("handshakes were logged: %s", text)
	}
}

func TestDenialsOfMadeUpHostsDoNotFillTheLog(t *testing.T) {
	e := newEndpoint(t, answerWith(http.StatusForbidden, "no"))
	p, log := newPolicy(t, nil)
	p.Put("shop", newRecord(onDemand(t, e.URL)), nil, nil)
	_, terms, _ := p.find("x.example.com")
	for n := range 100 {
		if p.doorman.admit(terms, fmt.Sprintf("h%d.example.com", n)) == nil {
			t.Fatal("a host was admitted")
		}
	}
	if n := log.count("says no"); n == 0 || n > denialsLines+1 {
		t.Errorf("%d lines for 100 denials", n)
	}
}

func TestTheDoormanForgets(t *testing.T) {
	p, _ := newPolicy(t, nil)
	for n := range maxAnswers + 100 {
		p.doorman.remember(question{host: fmt.Sprint(n)}, answer{errors.New("no"), time.Now().Add(time.Minute)})
	}
	if n := len(p.doorman.answers); n > maxAnswers {
		t.Errorf("%d answers are kept, want at most %d", n, maxAnswers)
	}
	q := question{host: "old"}
	p.doorman.remember(q, answer{errors.New("no"), time.Now().Add(-time.Second)})
	if _, ok := p.doorman.recall(q); ok {
		t.Error("an answer is used after its time")
	}
}

// What an on-demand URL has of passwords and tokens is for its endpoint alone.
func TestSecretsOfTheURLAreNotTold(t *testing.T) {
	e := newEndpoint(t, answerWith(http.StatusForbidden, "no"))
	gone := newEndpoint(t, answerWith(http.StatusOK, ""))
	gone.Close()
	for _, address := range []string{e.URL, gone.URL} {
		p, log := newPolicy(t, nil)
		secret := strings.Replace(address, "http://", "http://user:hush@", 1) + "/ask?token=hush"
		p.Put("shop", newRecord(onDemand(t, secret)), nil, nil)
		_, err := handshake(p, "a.example.com")
		if err == nil || strings.Contains(err.Error(), "hush") {
			t.Errorf("the error is %v", err)
		}
		if text := log.String(); strings.Contains(text, "hush") || !strings.Contains(text, "a.example.com") {
			t.Errorf("the log says %s", text)
		}
	}
	if got := e.questions(); len(got) != 1 || !strings.Contains(got[0], "token=hush") {
		t.Errorf("the endpoint was asked %q", got)
	}
}
