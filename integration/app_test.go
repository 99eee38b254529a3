package integration

import (
	"fmt"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/httptest"
	"sync"
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
	released chan time.Time
	release  func() // has /held answered, from now on
}

// startApp starts an instance that answers /up, "/" with its name, /slow?2s with
// its name after a while, and /held when release was called.
func startApp(t *testing.T, name string, more ...func(*http.ServeMux)) *app {
	t.Helper()
	return startAppOn(t, "127.0.0.1:0", name, more...)
}

// startAppOn is startApp at an address.
func startAppOn(t *testing.T, address, name string, more ...func(*http.ServeMux)) *app {
	t.Helper()
	a := &app{name: name, released: make(chan time.Time)}
	a.release = sync.OnceFunc(func() { close(a.released) })
	a.healthy.Store(true)
	mux := http.NewServeMux()
	mux.HandleFunc("/up", func(w http.ResponseWriter, _ *http.Request) {
		a.checked.Add(1)
		if !a.healthy.Load() {
			w.WriteHeader(http.StatusServiceUnavailable)
		}
	})
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) { a.answer(w, r, nil) })
	mux.HandleFunc("/held", func(w http.ResponseWriter, r *http.Request) { a.answer(w, r, a.released) })
	mux.HandleFunc("/slow", func(w http.ResponseWriter, r *http.Request) {
		wait, err := time.ParseDuration(r.URL.RawQuery)
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		a.answer(w, r, time.After(wait))
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
	t.Cleanup(a.release)
	return a
}

// answer says the name when a channel does; nil is at once.
func (a *app) answer(w http.ResponseWriter, r *http.Request, when <-chan time.Time) {
	a.served.Add(1)
	defer a.finished.Add(1)
	if when != nil {
		select {
		case <-when:
		case <-r.Context().Done():
			return
		}
	}
	w.Header().Set("X-App", a.name)
	fmt.Fprint(w, a.name)
}

// target is what deploy is given.
func (a *app) target() string { return a.Listener.Addr().String() }

// closedPort is an address where nothing listens. Its port is none of those that
// the kernel gives to whoever asks for any, so nobody gets it meanwhile.
func closedPort(t *testing.T) string {
	t.Helper()
	for range 100 {
		l, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", 10000+rand.IntN(20000)))
		if err == nil {
			l.Close()
			return l.Addr().String()
		}
	}
	t.Fatal("no port is free")
	return ""
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
