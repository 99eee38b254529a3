package integration

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"
)

// throng opens n connections and says hello on each.
func throng(t *testing.T, d *daemon, n int, hello func(c net.Conn) error) (leave func()) {
	t.Helper()
	conns := make([]net.Conn, n)
	for i := range conns {
		c, err := net.Dial("tcp", d.address())
		if err != nil {
			t.Fatal(err)
		}
		c.SetDeadline(time.Now().Add(patience))
		if err := hello(c); err != nil {
			t.Fatalf("connection %d: %v", i, err)
		}
		conns[i] = c
	}
	return func() {
		for _, c := range conns {
			c.Close()
		}
	}
}

// highest is the most memory within a second: it takes that long to get to what
// it holds in the end. KiB.
func (d *daemon) highest() (most int) {
	for range 10 {
		most = max(most, d.usage().rss)
		time.Sleep(100 * time.Millisecond)
	}
	return most
}

// What a client that does not go on makes us hold is bounded, in each state that
// it can leave its connection in, and given back when it is gone.
func TestWhatHalfOpenRequestsHold(t *testing.T) {
	if slices.Contains(buildFlags, "-race") {
		t.Skip("the race detector holds several times as much")
	}
	const clients = 160
	get := func(path string) func(net.Conn) error {
		return func(c net.Conn) error {
			io.WriteString(c, "GET "+path+" HTTP/1.1\r\nHost: web\r\n\r\n")
			_, err := http.ReadResponse(bufio.NewReaderSize(c, 512), nil)
			return err
		}
	}
	post := func(size int) func(net.Conn) error {
		return func(c net.Conn) error {
			io.WriteString(c, "POST /reads HTTP/1.1\r\nHost: web\r\nContent-Length: 10485760\r\n\r\n")
			_, err := c.Write(bytes.Repeat([]byte("x"), size))
			return err
		}
	}
	for name, c := range map[string]struct {
		deploy []string
		hello  func(net.Conn) error
		most   int // KiB each
	}{
		"idle":                        {nil, get("/"), 16},
		"half a head":                 {nil, func(c net.Conn) error { _, err := io.WriteString(c, "GET / HTTP/1.1\r\nHo"); return err }, 28},
		"upload":                      {nil, post(500 << 10), 144},
		"upload that is kept":         {[]string{"--buffer-requests", "--buffer-memory", "262144"}, post(500 << 10), 256 + 128},
		"slow reader":                 {nil, get("/large"), 112},
		"slow reader of what is kept": {[]string{"--buffer-responses", "--buffer-memory", "262144"}, get("/large"), 256 + 144},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d := startScraped(t)
			a := startApp(t, "a", func(mux *http.ServeMux) {
				mux.HandleFunc("/reads", func(_ http.ResponseWriter, r *http.Request) { io.Copy(io.Discard, r.Body) })
				mux.HandleFunc("/large", func(w http.ResponseWriter, r *http.Request) {
					for range 160 {
						if _, err := w.Write(make([]byte, 64<<10)); err != nil {
							return
						}
					}
				})
			})
			d.must(append([]string{"deploy", "web", "--target", a.target()}, c.deploy...)...)
			first := d.usage().rss
			// What the process takes once, and not for each client, it has then.
			leaveFirst := throng(t, d, clients/2, c.hello)
			before := d.highest()
			leave := throng(t, d, clients, c.hello)
			if each := (d.highest() - before) / clients; each > c.most {
				t.Errorf("each holds %d KiB, want %d at most", each, c.most)
			} else {
				t.Logf("each holds %d KiB", each)
			}
			leaveFirst()
			leave()
			if !strings.HasPrefix(name, "upload") {
				return
			}
			eventually(t, "the memory is given back", func() error {
				if rest := d.usage().rss - first; rest > 32<<10 {
					return fmt.Errorf("%d KiB are not", rest)
				}
				return nil
			})
		})
	}
}
