package main

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"
)

// load asks for the same page on many connections at once, and keeps what
// became of each request.
type load struct {
	url    string
	client *http.Client
	cancel context.CancelFunc
	done   sync.WaitGroup

	mu      sync.Mutex
	answers []answer
	lost    []error
}

type answer struct {
	at   time.Time
	took time.Duration
	body string
}

// result is what a load came to.
type result struct {
	answers   []answer
	lost      int
	firstLoss error
}

func startLoad(url string, connections int) *load {
	ctx, cancel := context.WithCancel(context.Background())
	l := &load{url: url, cancel: cancel, client: &http.Client{
		Timeout:   30 * time.Second,
		Transport: &http.Transport{MaxIdleConnsPerHost: connections, MaxConnsPerHost: connections},
	}}
	for range connections {
		l.done.Go(func() { l.run(ctx) })
	}
	return l
}

func (l *load) run(ctx context.Context) {
	for ctx.Err() == nil {
		began := time.Now()
		body, err := l.get()
		l.mu.Lock()
		if err != nil {
			l.lost = append(l.lost, err)
		} else {
			l.answers = append(l.answers, answer{began, time.Since(began), body})
		}
		l.mu.Unlock()
	}
}

func (l *load) get() (string, error) {
	response, err := l.client.Get(l.url)
	if err != nil {
		return "", err
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		return "", err
	}
	if response.StatusCode != http.StatusOK {
		return "", fmt.Errorf("status %s", response.Status)
	}
	return strings.TrimSpace(string(body)), nil
}

// runFor lets the load run for a while.
func (l *load) runFor(d time.Duration) { <-time.After(d) }

func (l *load) stop() result {
	l.cancel()
	l.done.Wait()
	l.client.CloseIdleConnections()
	r := result{answers: l.answers, lost: len(l.lost)}
	if r.lost > 0 {
		r.firstLoss = l.lost[0]
	}
	return r
}

// print says what a person wants to know: how many, how many lost, and the
// slowest while the switch was made.
func (r result) print(out io.Writer, began time.Time, took time.Duration) {
	var slowest time.Duration
	by := map[string]int{}
	for _, a := range r.answers {
		by[a.body]++
		if a.at.Add(a.took).After(began) && a.at.Before(began.Add(took)) {
			slowest = max(slowest, a.took)
		}
	}
	fmt.Fprintf(out, "\n  requests sent             %d\n", len(r.answers)+r.lost)
	for _, body := range sorted(by) {
		fmt.Fprintf(out, "  answered %-16q %d\n", body, by[body])
	}
	fmt.Fprintf(out, "  lost                      %d\n", r.lost)
	fmt.Fprintf(out, "  the deploy took           %s\n", took.Round(time.Millisecond))
	fmt.Fprintf(out, "  slowest during the switch %s\n", slowest.Round(100*time.Microsecond))
}

func sorted(by map[string]int) []string {
	var keys []string
	for key := range by {
		keys = append(keys, key)
	}
	slices.Sort(keys)
	return keys
}
