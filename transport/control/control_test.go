package control

import (
	"context"
	"net"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"kamal-proxy/actors/registry"
	"kamal-proxy/actors/service"
	"kamal-proxy/actors/spec"
	"kamal-proxy/actors/store"
	"kamal-proxy/actors/system"
)

// patience is how long a test waits for what must come.
const patience = 30 * time.Second

// daemon is a server on a real socket in front of a registry that a test plays.
type daemon struct {
	*Server
	*Client
	path     string
	registry registry.Ref
	served   chan error

	mu     sync.Mutex
	orders []registry.Message
}

// play is what the registry does with an order.
type play func(registry.Message)

type receive func(registry.Message)

func (r receive) Receive(m registry.Message) { r(m) }

// start runs a daemon until the test ends. load may be nil.
func start(t *testing.T, play play, load Load) *daemon {
	t.Helper()
	if load == nil {
		load = func(spec.Options) (service.Assets, error) { return service.Assets{}, nil }
	}
	actors, err := system.New(zerolog.Nop())
	if err != nil {
		t.Fatal(err)
	}
	d := &daemon{path: filepath.Join(shortDir(t), "s"), served: make(chan error, 1)}
	d.registry = system.Spawn(actors, "registry", 16, func(system.Ref[registry.Message]) system.Receiver[registry.Message] {
		return receive(func(m registry.Message) {
			d.mu.Lock()
			d.orders = append(d.orders, m)
			d.mu.Unlock()
			play(m)
		})
	})
	d.Server = NewServer(Config{Registry: d.registry, Load: load, Log: zerolog.Nop()})
	d.Client = NewClient(d.path)
	d.listen(t)
	return d
}

func (d *daemon) listen(t *testing.T) {
	t.Helper()
	l, err := Listen(d.path)
	if err != nil {
		t.Fatal(err)
	}
	go func() { d.served <- d.Serve(l) }()
	t.Cleanup(func() {
		d.Server.http.Close()
		select {
		case <-d.served:
		case <-time.After(patience):
			t.Error("Serve did not return after the server was closed")
		}
		d.registry.Stop()
	})
}

func (d *daemon) received() []registry.Message {
	d.mu.Lock()
	defer d.mu.Unlock()
	return append([]registry.Message(nil), d.orders...)
}

// only is the one order that came.
func (d *daemon) only(t *testing.T) registry.Message {
	t.Helper()
	got := d.received()
	if len(got) != 1 {
		t.Fatalf("the registry got %d orders, want 1", len(got))
	}
	return got[0]
}

// shortDir is a folder whose path leaves room for a socket's name.
func shortDir(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "kp")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	return dir
}

func askerOf(m registry.Message) *service.Asker {
	switch m := m.(type) {
	case registry.Order:
		return m.Asking()
	case registry.Remove:
		return m.Asker
	}
	return nil
}

// obey carries out every order at once.
func obey(m registry.Message) {
	switch m := m.(type) {
	case registry.List:
		m.Answer(records{}, nil)
	default:
		askerOf(m).Answer(struct{}{}, nil)
	}
}

type records []*spec.Record

func (rs records) Each(yield func(*spec.Record) bool) {
	for _, r := range rs {
		if !yield(r) {
			return
		}
	}
}

var _ store.Snapshot = records{}

func testContext(t *testing.T) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	t.Cleanup(cancel)
	return ctx
}

func dial(t *testing.T, path string) net.Conn {
	t.Helper()
	conn, err := net.Dial("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	conn.SetDeadline(time.Now().Add(patience))
	return conn
}

func wait(t *testing.T, what string, done <-chan struct{}) {
	t.Helper()
	select {
	case <-done:
	case <-time.After(patience):
		t.Fatalf("waited in vain for %s", what)
	}
}
