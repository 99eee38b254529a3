package certs

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/rs/zerolog"
)

const (
	maxDenial    = 256              // bytes of a denial's body that are logged
	answerLife   = 30 * time.Second // of a yes or no
	troubleLife  = 5 * time.Second  // of a question without an answer
	maxAnswers   = 10_000
	denialsLines = 10 // a minute: anybody can make up hosts
)

// doorman asks whether a host that no service names may have a certificate
// (--tls-on-demand-url).
type doorman struct {
	client  *http.Client
	askApp  AskApp
	log     zerolog.Logger
	timeout time.Duration // of a question, its wait for a slot included
	asking  chan struct{} // a slot for each question that is under way
	mu      sync.Mutex
	answers map[question]answer
}

// question is one that may be asked again before long.
type question struct{ service, url, host string }

// answer is a yes (no error) or a no, for a while.
type answer struct {
	err   error
	until time.Time
}

func newDoorman(config Config) *doorman {
	return &doorman{
		client: &http.Client{
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		},
		askApp:  config.AskApp,
		log:     config.Log.Sample(&zerolog.BurstSampler{Burst: denialsLines, Period: time.Minute}),
		timeout: config.AskTimeout,
		asking:  make(chan struct{}, config.MaxAsks),
		answers: map[question]answer{},
	}
}

// known returns a no that needs no question: the host can have no certificate,
// or was told so a short time ago.
func (d *doorman) known(t *terms, host string) error {
	if t.onDemand == "" {
		return nil
	}
	if _, err := netip.ParseAddr(host); err == nil || !strings.Contains(host, ".") {
		return fmt.Errorf("%s is no name on the internet, so it gets no certificate", host)
	}
	a, _ := d.recall(question{t.service, t.onDemand, host})
	return a.err
}

// admit returns nil if host may have a certificate: a service's own host
// always, another if its endpoint answers 200.
func (d *doorman) admit(t *terms, host string) error {
	if t.onDemand == "" {
		return nil
	}
	if t.stopped && isPath(t.onDemand) {
		return fmt.Errorf("service %s is stopped, so %s gets no certificate", t.service, host)
	}
	q := question{t.service, t.onDemand, host}
	if a, ok := d.recall(q); ok {
		return a.err
	}
	ctx, cancel := context.WithTimeout(context.Background(), d.timeout)
	defer cancel()
	select {
	case d.asking <- struct{}{}:
		defer func() { <-d.asking }()
	case <-ctx.Done():
		return errBusy
	}
	return d.ask(ctx, q)
}

func (d *doorman) ask(ctx context.Context, q question) error {
	status, body, err := d.send(ctx, q)
	switch {
	case err != nil:
		err = fmt.Errorf("unable to ask whether %s may have a certificate: %w", q.host, err)
		d.log.Warn().Err(err).Str("service", q.service).Str("host", q.host).Msg("A host gets no certificate")
		d.remember(q, answer{err, time.Now().Add(troubleLife)})
	case status != http.StatusOK:
		err = fmt.Errorf("%s may not have a certificate: %s answered %d", q.host, shown(q.url), status)
		d.log.Info().Str("service", q.service).Str("host", q.host).Int("status", status).
			Bytes("body", body[:min(len(body), maxDenial)]).Msg("A host gets no certificate: its service says no")
		d.remember(q, answer{err, time.Now().Add(answerLife)})
	default:
		d.remember(q, answer{nil, time.Now().Add(answerLife)})
	}
	return err
}

func (d *doorman) send(ctx context.Context, q question) (status int, body []byte, err error) {
	target := withHost(q.url, q.host)
	if !isPath(q.url) {
		return d.get(ctx, target)
	}
	if d.askApp == nil {
		return 0, nil, errors.New("there is no way to ask the app")
	}
	return d.askApp(ctx, q.service, q.host, target)
}

func (d *doorman) get(ctx context.Context, target string) (int, []byte, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, target, nil)
	if err != nil {
		return 0, nil, err
	}
	request.Header.Set("User-Agent", "kamal-proxy")
	response, err := d.client.Do(request)
	if err != nil {
		var asked *url.Error
		if errors.As(err, &asked) {
			asked.URL = shown(target)
		}
		return 0, nil, err
	}
	defer response.Body.Close()
	// Some of a body is better than none: what it says is only for the log.
	body, _ := io.ReadAll(io.LimitReader(response.Body, maxDenial))
	return response.StatusCode, body, nil
}

// shown is a URL without what may be secret in it: who asks, and the query.
func shown(target string) string {
	u, err := url.Parse(target)
	if err != nil {
		return "the URL"
	}
	u.User, u.RawQuery, u.Fragment = nil, "", ""
	return u.String()
}

func isPath(onDemandURL string) bool { return strings.HasPrefix(onDemandURL, "/") }

// withHost adds host= to a URL's query and leaves the rest as it is.
func withHost(target, host string) string {
	target, _, _ = strings.Cut(target, "#")
	separator := "?"
	if strings.Contains(target, "?") {
		separator = "&"
	}
	return target + separator + "host=" + url.QueryEscape(host)
}

func (d *doorman) recall(q question) (answer, bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	a, ok := d.answers[q]
	if !ok || time.Now().After(a.until) {
		return answer{}, false
	}
	return a, true
}

// remember keeps an answer. When there are too many, those that are too old
// go, and if that is not enough, any.
func (d *doorman) remember(q question, a answer) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if len(d.answers) >= maxAnswers {
		now := time.Now()
		for old, a := range d.answers {
			if len(d.answers) < maxAnswers && now.Before(a.until) {
				break
			}
			if len(d.answers) >= maxAnswers || now.After(a.until) {
				delete(d.answers, old)
			}
		}
	}
	d.answers[q] = a
}
