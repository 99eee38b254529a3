package ingress

import (
	"crypto/tls"
	"net"
	"runtime"
	"testing"

	"kamal-proxy/transport/crash"
)

// Handshakes that panic give their place to others.
func TestPanicsInHandshakes(t *testing.T) {
	s, _ := startSecure(t, Config{Handler: ok})
	s.tls.GetConfigForClient = func(hello *tls.ClientHelloInfo) (*tls.Config, error) {
		if hello.ServerName == "odd.example" {
			panic("odd hello")
		}
		return nil, nil
	}
	shake := func(name string) error {
		dialer := &net.Dialer{Timeout: patience}
		conn, err := tls.DialWithDialer(dialer, "tcp", s.addr, &tls.Config{ServerName: name, InsecureSkipVerify: true})
		if err == nil {
			conn.Close()
		}
		return err
	}
	before, odd := crash.Total(), 2*runtime.GOMAXPROCS(0)+1
	for range odd {
		if shake("odd.example") == nil {
			t.Fatal("an odd handshake is made")
		}
	}
	if n := crash.Total() - before; n != uint64(odd) {
		t.Errorf("%d panics were counted, want %d", n, odd)
	}
	if err := shake("good.example"); err != nil {
		t.Errorf("the next handshake: %v", err)
	}
	within(t, "the end of the connections", func() bool { return s.crowd.Open() == 0 })
}
