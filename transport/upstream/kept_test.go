package upstream_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"testing"

	"kamal-proxy/transport/upstream"
)

// inMemory is a kept body that shows its pieces until it is read.
type inMemory struct {
	kept
	pieces [][]byte
}

func (m *inMemory) Memory(parts [][]byte) [][]byte {
	if at, _ := m.Seek(0, io.SeekCurrent); at > 0 {
		return nil
	}
	return append(parts, m.pieces...)
}

// A body in memory goes out from there with its head, be the socket's room for
// less than the head, or for a part of the body, be the pieces too many.
func TestBodyInMemoryGoesOutWhole(t *testing.T) {
	for _, pieces := range []int{1, 2, 4, 5} {
		for _, room := range []int{2 << 10, 32 << 10, 4 << 20} {
			for _, stale := range []bool{false, true} {
				t.Run(fmt.Sprint(pieces, " pieces, room for ", room, ", stale ", stale), func(t *testing.T) {
					testBodyInMemory(t, pieces, room, stale)
				})
			}
		}
	}
}

func testBodyInMemory(t *testing.T, pieces, room int, stale bool) {
	content := ordered(pieces * 50 << 10)
	arrived := make(chan string, 1)
	address := listen(t, func(n int, p *peer) {
		if stale && n == 1 {
			p.head()
			p.say(okay)
			p.head()
			p.body(10)
			return
		}
		if !stale {
			p.head()
			p.say(okay)
		}
		p.head()
		arrived <- p.body(len(content))
		p.say(okay)
	})
	u := target(t, upstream.Options{Address: address, DialContext: func(ctx context.Context, network, address string) (net.Conn, error) {
		conn, err := new(net.Dialer).DialContext(ctx, network, address)
		if err == nil {
			conn.(*net.TCPConn).SetWriteBuffer(room)
		}
		return conn, err
	}})
	send(t, u, get("/"))
	r, _ := keptRequest("PUT", nil)
	body := &inMemory{kept: kept{Reader: bytes.NewReader(content)}}
	for i := range pieces {
		body.pieces = append(body.pieces, content[i*50<<10:(i+1)*50<<10])
	}
	r.Body, r.ContentLength = body, int64(len(content))
	if status, _ := send(t, u, r); status != 200 {
		t.Errorf("status %d", status)
	}
	if got := <-arrived; got != string(content) {
		t.Errorf("%d bytes arrived that are not those sent (%d)", len(got), len(content))
	}
}
