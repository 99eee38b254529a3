package ingress

import (
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"kamal-proxy/transport/calm"
	"kamal-proxy/transport/exchange"
)

// TestNewcomersAreServedWhereRoomIsWanted asks for room all the time: also in the
// moments when a client has connected and its request is still on its way.
func TestNewcomersAreServedWhereRoomIsWanted(t *testing.T) {
	calm.Try(t, newcomersAreServed)
}

func newcomersAreServed(t testing.TB, _ time.Duration) {
	const size = 50_000
	crowd := NewCrowd(CrowdLimits{Connections: 10})
	config := Config{Crowd: crowd, Handler: func(e exchange.Exchange) {
		e.Respond(200, nil, size)
		io.WriteString(e, strings.Repeat("x", size))
	}}
	plain := start(t, config)
	secure, client := startSecure(t, config)
	client.Transport.(*http.Transport).DisableKeepAlives = true

	enough, done := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(done)
		for {
			select {
			case <-enough:
				return
			default:
				crowd.makeRoom(false)
			}
		}
	}()
	for range 15 {
		for _, c := range []struct {
			client *http.Client
			url    string
		}{{client, "http://" + plain.addr}, {client, "https://" + secure.addr}} {
			response, body, err := fetch3(c.client, request(t, "GET", c.url, nil))
			if err != nil || len(body) != size {
				t.Errorf("%s: got %v, %d bytes, %v", c.url, response, len(body), err)
			}
		}
	}
	close(enough)
	<-done
}
