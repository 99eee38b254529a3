package http2

import (
	"net"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/rs/zerolog"

	"kamal-proxy/transport/crash"
)

// oddConn is a connection whose writes or reads panic once they are told to.
type oddConn struct {
	net.Conn
	writes, reads *atomic.Bool
}

func (c oddConn) Write(p []byte) (int, error) {
	if c.writes.Load() {
		panic("odd write")
	}
	return c.Conn.Write(p)
}

func (c oddConn) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	if c.reads.Load() {
		panic("odd read")
	}
	return n, err
}

// lines is a log that is read line by line.
type lines chan string

func (l lines) Write(p []byte) (int, error) { l <- string(p); return len(p), nil }

// A panic in a connection's own goroutines costs that connection: all of it
// ends, and nothing else.
func TestPanicOfAConnection(t *testing.T) {
	for _, at := range []string{"write", "read"} {
		t.Run(at, func(t *testing.T) {
			var writes, reads atomic.Bool
			log := make(lines, 10)
			s := NewServer(Config{Log: zerolog.New(log), Handler: ok})
			listener, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				t.Fatal(err)
			}
			defer listener.Close()
			before := crash.Total()
			ended := make(chan any, 1)
			go func() {
				defer func() { ended <- recover() }()
				conn, _ := listener.Accept()
				s.Serve(oddConn{conn, &writes, &reads}, peerOf(conn))
			}()
			c := (&site{s, listener.Addr().String()}).dial(t)
			c.request(1, true, get...)
			c.answer(1)
			writes.Store(at == "write")
			reads.Store(at == "read")
			c.request(3, true, get...)
			if cause := receive(t, ended); at == "read" && cause == nil {
				t.Error("the panic of a read is swallowed, and not its connection's")
			}
			if at == "write" {
				if line := receive(t, log); !strings.Contains(line, "odd write") || crash.Total()-before != 1 {
					t.Errorf("%d panics were counted, the log says %q", crash.Total()-before, line)
				}
			}
			eventually(t, "no connections", func() bool { return s.Count() == 0 })
		})
	}
}
