package certs

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"kamal-proxy/transport/crash"

	"golang.org/x/crypto/acme"
)

// Time between two attempts that fail: authorities allow few in an hour.
const (
	firstPause = 5 * time.Minute
	lastPause  = time.Hour
	longPause  = 24 * time.Hour // at most, where the authority asks for more
	// leastPause is how long autocert remembers a failure.
	leastPause = time.Minute + time.Second
	// quiet is how long no second line is logged about a host.
	quiet = time.Hour
)

// pursuit is the way to one certificate: at most one attempt at a time, and
// longer and longer pauses between those that fail.
type pursuit struct {
	issuer *issuer
	key    key
	held   atomic.Bool // there is one; autocert keeps and renews it

	mu       sync.Mutex
	attempt  *attempt // under way
	failures int      // in a row
	failed   time.Time
	floor    time.Time // not before this, whatever an operator does
	retry    time.Time
	reason   error
	told     time.Time
	since    time.Time // when held became true
}

// attempt is one try. Its result may be read once done is closed.
type attempt struct {
	done        chan struct{}
	certificate *tls.Certificate
	err         error
}

func (i *issuer) pursuit(k key) *pursuit {
	if u, ok := i.pursuits.Load(k); ok {
		return u.(*pursuit)
	}
	u, _ := i.pursuits.LoadOrStore(k, &pursuit{issuer: i, key: k})
	return u.(*pursuit)
}

// join returns the attempt that is under way, or begins one if it is time to.
func (u *pursuit) join(t *terms) (*attempt, error) {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.attempt != nil {
		return u.attempt, nil
	}
	if t.born.After(u.failed) { // an operator has done something about it
		u.failures, u.retry = 0, u.floor
	}
	if left := time.Until(u.retry); left > 0 {
		return nil, fmt.Errorf("the last attempt to get a certificate for %s failed, the next is in %v: %w", u.key, left.Round(time.Second), u.reason)
	}
	a := &attempt{done: make(chan struct{})}
	u.attempt = a
	go func() {
		defer close(a.done)
		a.err = crash.ErrPanicked
		crash.Run("Getting a certificate panicked", func() { a.certificate, a.err = u.issuer.obtain(t, u.key) })
		u.settle(t, a)
	}()
	return a, nil
}

// wait returns the attempt's result, or an error when ctx or the time is over.
func (a *attempt) wait(ctx context.Context, limit time.Duration) (*tls.Certificate, error) {
	timer := time.NewTimer(limit)
	defer timer.Stop()
	select {
	case <-a.done:
		return a.certificate, a.err
	case <-ctx.Done():
		return nil, ctx.Err()
	case <-timer.C:
		return nil, errors.New("the certificate is still being got, the next handshake may find it")
	}
}

// catch returns what is held, as it was last renewed.
func (u *pursuit) catch() (*tls.Certificate, error) {
	certificate, err := u.issuer.manager.GetCertificate(helloFor(u.key))
	if err == nil {
		u.watch(certificate)
	}
	return certificate, err
}

// settle draws the conclusions of an attempt.
func (u *pursuit) settle(t *terms, a *attempt) {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.attempt = nil
	var failure *issueError
	switch {
	case a.err == nil:
		u.failures, u.reason, u.retry = 0, nil, time.Time{}
		u.since = time.Now()
		u.held.Store(true)
	case errors.As(a.err, &failure):
		u.fail(t, failure)
	case u.failures == 0: // the authority was never asked: there is nothing to remember
		u.issuer.pursuits.CompareAndDelete(u.key, u)
	}
}

// expire forgets what nobody has tried for some time.
func (u *pursuit) expire() {
	u.mu.Lock()
	defer u.mu.Unlock()
	if !u.held.Load() && u.attempt == nil && time.Since(u.retry) >= lastPause {
		u.issuer.pursuits.CompareAndDelete(u.key, u)
	}
}

func (u *pursuit) fail(t *terms, failure *issueError) {
	now := time.Now()
	pause := pauseAfter(u.failures)
	u.failures++
	u.reason, u.failed = failure, now
	u.floor = now.Add(leastPause)
	if asked, ok := acme.RateLimit(failure.err); ok && asked > 0 {
		pause = max(pause, min(asked, longPause))
		u.floor = now.Add(pause)
	}
	u.retry = now.Add(pause)
	time.AfterFunc(pause+lastPause+time.Second, u.expire)
	if errors.Is(failure, errNotOurs) || now.Sub(u.told) < quiet {
		return
	}
	u.told = now
	log := &u.issuer.log
	if t.onDemand != "" {
		log = &u.issuer.policy.doorman.log
	}
	log.Error().Err(failure).Str("service", t.service).Str("host", u.key.host).Str("retry_in", pause.String()).
		Msg("Unable to get a certificate" + failure.advice() + "; the first handshake after a deploy, or after the pause, tries again")
}

// pauseAfter is the pause after so many earlier failures in a row.
func pauseAfter(failures int) time.Duration {
	pause := firstPause
	for range failures {
		if pause *= 3; pause >= lastPause {
			return lastPause
		}
	}
	return pause
}

// watch tells when a certificate is near its end: autocert renews at a third of
// its life, and says nothing where that fails.
func (u *pursuit) watch(certificate *tls.Certificate) {
	leaf, now := certificate.Leaf, time.Now()
	if leaf == nil || leaf.NotAfter.Sub(now) > leaf.NotAfter.Sub(leaf.NotBefore)/5 {
		return
	}
	u.mu.Lock()
	defer u.mu.Unlock()
	if now.Sub(u.since) < quiet || now.Sub(u.told) < quiet {
		return
	}
	u.told = now
	line := u.issuer.log.Error().Str("host", u.key.host).Time("ends", leaf.NotAfter)
	if detail := u.issuer.courier.heard(u.key.host); detail != "" {
		line = line.Str("error", detail)
	}
	line.Msg("Unable to renew a certificate that ends soon" + reachable + "; it is tried again every hour")
}
