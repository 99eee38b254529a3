package ingress

import (
	"crypto/tls"
	"errors"
	"io"
	"net"
	"os"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rs/zerolog"

	"kamal-proxy/transport/exchange"
)

func TestListenOnAFreePort(t *testing.T) {
	listener, err := ListenTCP(0, "--http-port")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	port := listener.Addr().(*net.TCPAddr).Port
	for _, network := range []string{"127.0.0.1", "::1"} {
		conn, err := net.Dial("tcp", net.JoinHostPort(network, itoa(port)))
		if err != nil {
			if network == "::1" {
				t.Skip("no IPv6 here")
			}
			t.Fatal(err)
		}
		conn.Close()
	}
}

func TestListenErrorsSayWhatToDo(t *testing.T) {
	taken, err := ListenTCP(0, "--http-port")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	port := taken.Addr().(*net.TCPAddr).Port
	_, err = ListenTCP(port, "--https-port")
	if !errors.Is(err, syscall.EADDRINUSE) {
		t.Fatalf("got %v", err)
	}
	contains(t, err.Error(), "port "+itoa(port)+" is in use", "--https-port")

	for _, port := range []int{-1, 65536} {
		if _, err := ListenTCP(port, "--http-port"); err == nil || !strings.Contains(err.Error(), "--http-port") {
			t.Errorf("port %d: %v", port, err)
		}
	}

	forbidden := listenError(80, "--http-port", &net.OpError{Op: "listen", Err: os.NewSyscallError("bind", syscall.EACCES)})
	contains(t, forbidden.Error(), "port 80", "--http-port", "CAP_NET_BIND_SERVICE", "ip_unprivileged_port_start=80")
	if !errors.Is(forbidden, syscall.EACCES) || strings.Contains(forbidden.Error(), "\n") {
		t.Errorf("got %v", forbidden)
	}
}

func TestWithoutCertificatesEachHandshakeFails(t *testing.T) {
	s := start(t, Config{TLS: tlsConfig(nil), Handler: func(exchange.Exchange) { t.Error("a request came through") }})
	for range 3 {
		conn, err := tls.Dial("tcp", s.addr, &tls.Config{InsecureSkipVerify: true})
		if err == nil {
			conn.Close()
			t.Fatal("a handshake succeeded")
		}
	}
	within(t, "the handshakes are counted", func() bool {
		s.complaints.mu.Lock()
		defer s.complaints.mu.Unlock()
		return s.complaints.failed == 3
	})
	lacks(t, s.log.String(), `"level":"info"`, `"level":"warn"`, `"level":"error"`)
}

func TestJunkHandshakesAreSummedUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		log := &lockedBuffer{}
		c := &complaints{log: zerolog.New(log).Level(zerolog.InfoLevel)}
		for range 1000 {
			c.handshake("192.0.2.1:1", io.EOF)
		}
		c.Write([]byte("http2: something else\n"))
		if log.String() != "" {
			t.Fatalf("at once: %s", log)
		}
		time.Sleep(complaintsInterval)
		synctest.Wait()
		contains(t, log.String(), `"count":1000`, "192.0.2.1")
		if n := strings.Count(log.String(), "\n"); n != 1 {
			t.Errorf("%d lines", n)
		}

		c.handshake("192.0.2.2:1", io.EOF)
		c.close()
		contains(t, log.String(), `"count":1,`, "192.0.2.2")
		c.close()
		c.handshake("192.0.2.3:1", io.EOF)
		time.Sleep(2 * complaintsInterval)
		if n := strings.Count(log.String(), "\n"); n != 2 {
			t.Errorf("%d lines in the end", n)
		}
	})
}
