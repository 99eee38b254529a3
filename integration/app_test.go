package integration

import (
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"
	"time"
)

// app is an instance of a web app that says which one it is.
type app struct {
	*httptest.Server
	name     string
	healthy  atomic.Bool
	checked  atomic.Int64 // health checks
	served   atomic.Int64 // requests that began
	finished atomic.Int64
}

// startApp starts an instance that answers /up, "/" with its name, and
// /slow?2s with its name after a while.
func startApp(t *testing.T, name string, more ...func(*http.ServeMux)) *app {
	t.Helper()
	a := &app{name: name}
	a.healthy.Store(true)
	mux := http.NewServeMux()
	mux.HandleFunc("/up", func(w http.ResponseWriter, _ *http.Request) {
		a.checked.Add(1)
		if !a.healthy.Load() {
			w.WriteHeader(http.StatusServiceUnavailable)
		}
	})
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) { a.answer(w, r, 0) })
	mux.HandleFunc("/slow", func(w http.ResponseWriter, r *http.Request) {
		wait, err := time.ParseDuration(r.URL.RawQuery)
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		a.answer(w, r, wait)
	})
	for _, add := range more {
		add(mux)
	}
	a.Server = httptest.NewServer(mux)
	t.Cleanup(a.Close)
	return a
}

func (a *app) answer(w http.ResponseWriter, r *http.Request, wait time.Duration) {
	a.served.Add(1)
	defer a.finished.Add(1)
	if wait > 0 {
		select {
		case <-time.After(wait):
		case <-r.Context().Done():
			return
		}
	}
	w.Header().Set("X-App", a.name)
	fmt.Fprint(w, a.name)
}

// target is what deploy is given.
func (a *app) target() string { return a.Listener.Addr().String() }

// closedPort is an address where nothing listens.
func closedPort(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}
