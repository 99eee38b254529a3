package ingress

import (
	"io"
	"strings"
	"testing"

	"kamal-proxy/transport/exchange"
)

// TestHTTP3ResponsesArriveWhereRoomIsWanted asks for room all the time, also in the
// moments when a response has been written and is not with its client yet.
func TestHTTP3ResponsesArriveWhereRoomIsWanted(t *testing.T) {
	const size = 50_000
	s := start3(t, Config{Crowd: NewCrowd(CrowdLimits{Connections: 10}), Handler: func(e exchange.Exchange) {
		e.Respond(200, nil, size)
		io.WriteString(e, strings.Repeat("x", size))
	}})
	enough, done := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(done)
		for {
			select {
			case <-enough:
				return
			default:
				s.crowd.makeRoom(false)
			}
		}
	}()
	for range 10 {
		if _, body, err := fetch3(client3(t), request(t, "GET", "https://"+s.addr, nil)); err != nil || len(body) != size {
			t.Errorf("got %d bytes, %v", len(body), err)
		}
	}
	close(enough)
	<-done
}
