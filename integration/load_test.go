package integration

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"sync"
	"testing"
	"time"
)

// load sends requests on keep-alive connections until it is stopped.
type load struct {
	cancel context.CancelFunc
	client *http.Client
	done   sync.WaitGroup

	mu     sync.Mutex
	failed []string
	sent   int
	by     map[string]int // answers by body
}

// startLoad begins to ask for url on many connections at once.
func startLoad(url string, connections int) *load {
	return startLoadOf(connections, func(client *http.Client) (string, error) { return fetch(client, url) })
}

// startLoadOf begins to do what ask does, on many connections at once.
func startLoadOf(connections int, ask func(*http.Client) (body string, err error)) *load {
	ctx, cancel := context.WithCancel(context.Background())
	l := &load{cancel: cancel, by: map[string]int{}, client: &http.Client{
		Timeout:   patience,
		Transport: &http.Transport{MaxIdleConnsPerHost: connections, MaxConnsPerHost: connections},
	}}
	for range connections {
		l.done.Go(func() {
			for ctx.Err() == nil {
				l.once(ask)
			}
		})
	}
	return l
}

func (l *load) once(ask func(*http.Client) (string, error)) {
	body, err := ask(l.client)
	l.mu.Lock()
	defer l.mu.Unlock()
	l.sent++
	if err != nil {
		l.failed = append(l.failed, time.Now().Format("15:04:05.000 ")+err.Error())
		return
	}
	l.by[body]++
}

func fetch(client *http.Client, url string) (string, error) {
	response, err := client.Get(url)
	if err != nil {
		return "", err
	}
	return whole(response)
}

// whole returns the body of a response that says 200.
func whole(response *http.Response) (string, error) {
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		return "", err
	}
	if response.StatusCode != http.StatusOK {
		return "", fmt.Errorf("%s: %s", response.Status, body)
	}
	return string(body), nil
}

// count is how many requests have been sent.
func (l *load) count() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.sent
}

// awaitMore waits until that many more requests have been answered.
func (l *load) awaitMore(t *testing.T, n int) {
	t.Helper()
	until := l.count() + n
	eventually(t, "the load goes on", func() error {
		if now := l.count(); now < until {
			return fmt.Errorf("%d requests of %d", now, until)
		}
		return nil
	})
}

// stop ends the load, and fails the test if a request was lost.
func (l *load) stop(t *testing.T) {
	t.Helper()
	l.cancel()
	l.done.Wait()
	l.client.CloseIdleConnections()
	if len(l.failed) > 0 {
		t.Errorf("%d of %d requests were lost, the first: %s", len(l.failed), l.sent, l.failed[0])
	}
	if l.sent == 0 {
		t.Error("no request was sent at all")
	}
}
