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
	return startAppOn(t, "127.0.0.1:0", name, more...)
}

// startAppOn is startApp at an address.
func startAppOn(t *testing.T, address, name string, more ...func(*http.ServeMux)) *app {
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
	l, err := net.Listen("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	a.Server = httptest.NewUnstartedServer(mux)
	a.Listener.Close()
	a.Listener = l
	a.Start()
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

// awaitQuiet waits until an app is not asked for its health any more.
func awaitQuiet(t *testing.T, a *app) {
	t.Helper()
	before := int64(-1)
	eventually(t, "nobody checks "+a.name, func() error {
		now := a.checked.Load()
		if now == before {
			return nil
		}
		before = now
		<-time.After(200 * time.Millisecond)
		return fmt.Errorf("checked %d times", now)
	})
}
