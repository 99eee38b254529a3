package integration

import (
	"bufio"
	"io"
	"net"
	"sync"
	"sync/atomic"
	"testing"
)

// A target that hangs up as soon as it is told to must not keep the clients
// from being told: the Close frame comes first, on each of many WebSockets.
func TestEveryWebSocketIsToldOfASwitch(t *testing.T) {
	const many = 200
	d := startDaemon(t)
	old := startApp(t, "old", switching("websocket", func(_ net.Conn, r *bufio.Reader) { io.Copy(io.Discard, r) }))
	next := startApp(t, "next")
	for _, end := range [][]string{{"deploy", "web", "--target", next.target()}, {"remove", "web"}} {
		d.must("deploy", "web", "--target", old.target())
		var sockets [many]*bufio.Reader
		for i := range sockets {
			_, sockets[i] = upgrade(t, d, "websocket")
		}
		d.must(end...)
		var untold atomic.Int64
		var clients sync.WaitGroup
		for _, socket := range sockets {
			clients.Go(func() {
				if f, err := readFrame(socket); err != nil || f.opcode != 8 {
					untold.Add(1)
				}
			})
		}
		clients.Wait()
		if n := untold.Load(); n > 0 {
			t.Errorf("%s: %d of %d WebSockets were closed without a Close frame", end[0], n, many)
		}
	}
}
