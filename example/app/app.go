package main

import (
	_ "embed"
	"fmt"
	"net/http"
	"strings"
	"time"
)

// app is one instance of one version.
type app struct {
	version   string
	container string
	ready     time.Time // from then on it is healthy
}

//go:embed page.html
var page string

func (a *app) routes() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /up", a.up)
	mux.HandleFunc("GET /slow", a.slow)
	mux.HandleFunc("GET /events", a.events)
	mux.HandleFunc("GET /echo", a.echo)
	mux.HandleFunc("/", a.front)
	return mux
}

func (a *app) String() string { return a.version + " in " + a.container }

// front answers browsers with a page that watches, and all others with a line.
func (a *app) front(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Cache-Control", "no-store")
	w.Header().Set("X-Version", a.version)
	if strings.Contains(r.Header.Get("Accept"), "text/html") {
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		fmt.Fprint(w, page)
		return
	}
	fmt.Fprintln(w, a)
}

// up is the health check: it fails until the app has booted.
func (a *app) up(w http.ResponseWriter, _ *http.Request) {
	if wait := time.Until(a.ready); wait > 0 {
		http.Error(w, fmt.Sprintf("%s is still booting, for another %s", a.version, wait.Round(time.Second)), http.StatusServiceUnavailable)
		return
	}
	fmt.Fprintln(w, "OK")
}

// slow answers after 2 s, or after the time that the query names: /slow?10s.
func (a *app) slow(w http.ResponseWriter, r *http.Request) {
	wait, err := time.ParseDuration(r.URL.RawQuery)
	if err != nil {
		wait = 2 * time.Second
	}
	select {
	case <-time.After(wait):
		fmt.Fprintf(w, "%s, after %s\n", a, wait)
	case <-r.Context().Done():
	}
}

// events is a stream of server-sent events, one a second, without an end.
func (a *app) events(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "text/event-stream")
	w.Header().Set("Cache-Control", "no-cache")
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for n := 1; ; n++ {
		fmt.Fprintf(w, "id: %d\ndata: %s\n\n", n, a)
		if http.NewResponseController(w).Flush() != nil {
			return
		}
		select {
		case <-tick.C:
		case <-r.Context().Done():
			return
		}
	}
}
