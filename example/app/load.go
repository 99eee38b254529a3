package main

import (
	"context"
	"fmt"
	"io"
	"maps"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"
)

const (
	clients = 16
	breath  = 5 * time.Millisecond // between a client's requests
)

// tally counts answers since it was last read.
type tally struct {
	mu     sync.Mutex
	counts map[string]int
}

func (t *tally) add(answer string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.counts[answer]++
}

func (t *tally) take() map[string]int {
	t.mu.Lock()
	defer t.mu.Unlock()
	taken := t.counts
	t.counts = map[string]int{}
	return taken
}

// load asks for the page until ctx ends. Once a second it prints how often
// each version, status or error was the answer.
func load(ctx context.Context, url string) {
	t := &tally{counts: map[string]int{}}
	client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: clients}}
	for range clients {
		go func() {
			for ctx.Err() == nil {
				if answer := ask(ctx, client, url); ctx.Err() == nil {
					t.add(answer)
				}
				time.Sleep(breath)
			}
		}()
	}
	second := time.NewTicker(time.Second)
	defer second.Stop()
	for {
		select {
		case now := <-second.C:
			fmt.Println(now.Format(time.TimeOnly), line(t.take()))
		case <-ctx.Done():
			return
		}
	}
}

// ask returns the version that answered, or what went wrong.
func ask(ctx context.Context, client *http.Client, url string) string {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return err.Error()
	}
	response, err := client.Do(request)
	if err != nil {
		return "LOST: " + err.Error()
	}
	defer response.Body.Close()
	if _, err := io.Copy(io.Discard, response.Body); err != nil {
		return "LOST: " + err.Error()
	}
	if response.StatusCode != http.StatusOK {
		return "status " + fmt.Sprint(response.StatusCode)
	}
	return response.Header.Get("X-Version")
}

func line(counts map[string]int) string {
	if len(counts) == 0 {
		return " (no answer yet)"
	}
	var b strings.Builder
	for _, answer := range slices.Sorted(maps.Keys(counts)) {
		fmt.Fprintf(&b, "  %s: %d", answer, counts[answer])
	}
	return b.String()
}
