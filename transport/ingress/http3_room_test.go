package ingress

import (
	"errors"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/quic-go/quic-go/http3"

	"kamal-proxy/transport/calm"
	"kamal-proxy/transport/exchange"
)

// TestHTTP3ResponsesArriveWhereRoomIsWanted asks for room all the time, also in the
// moments when a response has been written and is not with its client yet.
func TestHTTP3ResponsesArriveWhereRoomIsWanted(t *testing.T) {
	const size = 50_000
	calm.Try(t, func(t testing.TB, _ time.Duration) {
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
	})
}

func TestHTTP3MaxConnections(t *testing.T) {
	entered, leave := make(chan struct{}, 1), make(chan struct{})
	s := start3(t, Config{Crowd: NewCrowd(CrowdLimits{Connections: 1}), Handler: func(e exchange.Exchange) {
		if e.Request().Path == "/slow" {
			entered <- struct{}{}
			<-leave
		}
		ok(e)
	}})
	for range 2 { // the idle one makes room
		if _, _, err := fetch3(client3(t), request(t, "GET", "https://"+s.addr, nil)); err != nil {
			t.Fatal(err)
		}
		within(t, "it is idle", func() bool {
			idle := 0
			s.sessions.eachIdle(func(guest) { idle++ })
			return idle == 1
		})
	}
	answered := make(chan error, 1)
	go func() {
		_, _, err := fetch3(client3(t), request(t, "GET", "https://"+s.addr+"/slow", nil))
		answered <- err
	}()
	receive(t, entered)
	if _, _, err := fetch3(client3(t), request(t, "GET", "https://"+s.addr, nil)); !errors.Is(err, &http3.Error{Remote: true, ErrorCode: http3.ErrCodeExcessiveLoad}) {
		t.Errorf("one too many got %v", err)
	}
	close(leave)
	if err := receive(t, answered); err != nil {
		t.Error(err)
	}
	within(t, "all are counted out", func() bool { s.crowd.makeRoom(false); return s.crowd.Open() == 0 })
}
