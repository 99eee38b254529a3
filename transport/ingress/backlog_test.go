package ingress

import (
	"context"
	"errors"
	"net"
	"os"
	"strings"
	"testing"
	"time"

	"kamal-proxy/transport/calm"
)

// Clients whose connections the kernel has opened have been let in.
func TestShutdownServesTheBacklog(t *testing.T) {
	calm.Try(t, func(t testing.TB, _ time.Duration) {
		for range 10 {
			s := serve(t, ok)
			var clients []*client
			for range 50 {
				clients = append(clients, s.dial(t))
			}
			shut := make(chan error, 1)
			go func() { shut <- s.Shutdown(context.Background()) }()
			for i, c := range clients {
				c.send(get11)
				if head, err := c.ReadString('\n'); !strings.HasPrefix(head, "HTTP/1.1 200 ") {
					t.Fatalf("client %d got %q, %v", i, head, err)
				}
				c.Conn.Close()
			}
			if err := receive(t, shut); err != nil {
				t.Error(err)
			}
		}
	})
}

// However late the machine is, the kernel's queue is emptied.
func TestTheBacklogIsServedAfterItsTime(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	s := &site{Server: NewServer(Config{Handler: ok}), addr: listener.Addr().String()}
	defer s.Shutdown(t.Context())
	var clients []*client
	for range 50 {
		clients = append(clients, s.dial(t))
	}
	s.draining.Store(true)
	listener.(*net.TCPListener).SetDeadline(time.Now().Add(-time.Second))
	if err := s.accept(listener); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("got %v", err)
	}
	for _, c := range clients {
		c.send(get11)
		contains(t, c.head(), "HTTP/1.1 200 ")
	}
}
