package http1

import (
	"io"
	"testing"

	"kamal-proxy/transport/exchange"
)

// arriving is a connection on which one part after the other comes. A read that
// would have to wait says so.
type arriving struct {
	parts  []string
	waited bool
}

func (a *arriving) Read(p []byte) (int, error) {
	a.waited = true
	if len(a.parts) == 0 {
		return 0, io.EOF
	}
	n := copy(p, a.parts[0])
	if a.parts[0] = a.parts[0][n:]; a.parts[0] == "" {
		a.parts = a.parts[1:]
	}
	return n, nil
}

// Wherever a body is cut into what has come and what is to come, Ready says
// beforehand whether Read asks the connection.
func TestReadyTellsWhetherReadWaits(t *testing.T) {
	for name, message := range map[string]struct{ head, body string }{
		"length":          {"Content-Length: 10\r\n\r\n", "0123456789"},
		"until the close": {"\r\n", "0123456789"},
		"chunked":         {"Transfer-Encoding: chunked\r\n\r\n", "3\r\nabc\r\n00a;x=y\r\n0123456789\r\n1\r\nz\r\n0\r\n\r\n"},
		"with trailers":   {"Transfer-Encoding: chunked\r\n\r\n", "3\r\nabc\r\n0\r\nX-Sum: 1\r\nX-B: 2\r\n\r\n"},
		"empty chunked":   {"Transfer-Encoding: chunked\r\n\r\n", "0\r\n\r\n"},
		"bad size":        {"Transfer-Encoding: chunked\r\n\r\n", "3\r\nabc\r\nq\r\n"},
	} {
		for cut := 0; cut <= len(message.body); cut++ {
			src := &arriving{parts: []string{"HTTP/1.1 200 OK\r\n" + message.head + message.body[:cut]}}
			if cut < len(message.body) {
				src.parts = append(src.parts, message.body[cut:])
			}
			reader := NewReader(src, Limits{})
			var response exchange.Response
			if err := reader.ReadResponse("GET", &response); err != nil {
				t.Fatal(err)
			}
			body := reader.Body()
			for p := make([]byte, 600); ; {
				ready := body.Ready()
				src.waited = false
				_, err := body.Read(p)
				if ready == src.waited {
					t.Errorf("%s, cut at %d: Ready says %v, but Read waits: %v", name, cut, ready, src.waited)
				}
				if err != nil {
					break
				}
			}
		}
	}
}
