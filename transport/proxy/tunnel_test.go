package proxy

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"testing"
	"time"

	"kamal-proxy/actors/service"
	"kamal-proxy/transport/calm"
	"kamal-proxy/transport/exchange"
)

// pair is two ends of a TCP connection: ours, and the peer's.
func pair(t testing.TB) (ours, peer *net.TCPConn) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	dialed, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	accepted, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { dialed.Close(); accepted.Close() })
	dialed.SetDeadline(time.Now().Add(patience))
	return accepted.(*net.TCPConn), dialed.(*net.TCPConn)
}

// switched is an upgraded request under way, seen from its two ends.
type switched struct {
	*stage
	x              *fakeExchange
	client, target *net.TCPConn // the peers
	ended          chan struct{}
}

func startTunnel(t testing.TB, protocol string) *switched {
	t.Helper()
	ourClient, client := pair(t)
	ourTarget, target := pair(t)
	up := make(chan struct{})
	w := &switched{client: client, target: target, ended: make(chan struct{})}
	w.stage = newStage(&fakeTarget{answer: func(context.Context, func(int, exchange.Header) error) (*exchange.Response, error) {
		return &exchange.Response{
			Status: 101, Tunnel: ourTarget, Header: header("Upgrade", protocol, "Connection", "upgrade", "Sec-WebSocket-Accept", "x"),
		}, nil
	}})
	goodbye := w.upgraded
	w.upgraded = func(l *service.Lease) { goodbye(l); close(up) }
	w.x = newExchange("GET", "/cable")
	w.x.request.Upgrade, w.x.client = protocol, ourClient
	go func() {
		defer close(w.ended)
		w.Serve(w.x)
	}()
	select {
	case <-up:
	case <-time.After(patience):
		t.Fatal("the tunnel did not open")
	}
	return w
}

// over waits for the end of the tunnel and checks what is said about it.
func (w *switched) over(t testing.TB) {
	t.Helper()
	select {
	case <-w.ended:
	case <-time.After(patience):
		t.Fatal("the tunnel did not end")
	}
	expect(t, "goodbyes", w.finished, 1)
	expect(t, "tunnels", w.tunnels, 1)
	expect(t, "logged status", w.entries[0].Status, 101)
	expect(t, "aborted", w.x.aborted, false)
}

func send(t testing.TB, conn net.Conn, p []byte) {
	t.Helper()
	if _, err := conn.Write(p); err != nil {
		t.Fatal(err)
	}
}

func receive(t testing.TB, conn net.Conn, want []byte) {
	t.Helper()
	got := make([]byte, len(want))
	if n, err := io.ReadFull(conn, got); err != nil || !bytes.Equal(got, want) {
		t.Fatalf("received % x (%v), want % x", got[:min(n, 40)], err, want[:min(len(want), 40)])
	}
}

// rest reads to the end, which must be an orderly one.
func rest(t testing.TB, conn net.Conn) []byte {
	t.Helper()
	got, err := io.ReadAll(conn)
	if err != nil {
		t.Fatalf("the connection ended with %v", err)
	}
	return got
}

func TestTunnelCarriesBothWays(t *testing.T) {
	w := startTunnel(t, "websocket")
	expect(t, "Upgrade", w.x.header.Get("Upgrade"), "websocket")
	expect(t, "Connection", w.x.header.Get("Connection"), "Upgrade")
	expect(t, "accept", w.x.header.Get("Sec-WebSocket-Accept"), "x")
	for _, size := range []int{1, 2 << 10, 200_000, 3} { // small, and large, and small again
		big := frame(2, true, size)
		go w.client.Write(big)
		receive(t, w.target, big)
		big = frame(2, false, size)
		go w.target.Write(big)
		receive(t, w.client, big)
	}
	w.client.CloseWrite()
	expect(t, "behind the client's end", len(rest(t, w.target)), 0)
	send(t, w.target, []byte("late"))
	w.target.Close()
	expect(t, "after the client's end", string(rest(t, w.client)), "late")
	w.over(t)
}

func TestCutBetweenFrames(t *testing.T) {
	calm.Try(t, func(t testing.TB, _ time.Duration) {
		for _, cause := range []error{service.ErrReplaced, service.ErrDrained} {
			w := startTunnel(t, "WebSocket")
			send(t, w.client, frame(1, true, 300))
			receive(t, w.target, frame(1, true, 300))
			w.cut(cause)
			expect(t, "client's last", string(rest(t, w.client)), "\x88\x02\x03\xe9")
			checkMasked(t, rest(t, w.target))
			// Both say goodbye in turn, and more: nothing of it resets what they read.
			send(t, w.client, frame(1, true, 9))
			send(t, w.client, frame(8, true, 2))
			send(t, w.target, frame(8, false, 2))
			w.client.CloseWrite()
			w.target.CloseWrite()
			w.over(t)
			if _, err := w.client.Read(make([]byte, 1)); err != io.EOF {
				t.Errorf("the client's connection ended with %v", err)
			}
		}
	})
}

func checkMasked(t testing.TB, got []byte) {
	t.Helper()
	if len(got) != 8 || got[0] != 0x88 || got[1] != 0x82 || got[6]^got[2] != 0x03 || got[7]^got[3] != 0xe9 {
		t.Errorf("the target received % x, no masked Close frame with 1001", got)
	}
}

func TestLaneLeavesAtTheEndOfAFrame(t *testing.T) {
	from, app := pair(t)
	to, browser := pair(t)
	l := lane{from: from, to: to, goingAway: serverGoingAway}
	ended := make(chan error, 1)
	go func() { ended <- l.carry() }()

	big, next := frame(2, false, 1000), frame(1, false, 5)
	send(t, app, big[:500])
	receive(t, browser, big[:500])
	if err := l.leave(); err != nil {
		t.Fatal(err)
	}
	send(t, app, append(bytes.Clone(big[500:]), next...))
	got := rest(t, browser)
	if want := append(bytes.Clone(big[500:]), 0x88, 0x02, 0x03, 0xe9); !bytes.Equal(got, want) {
		t.Errorf("%d bytes came, ending in % x, want %d", len(got), got[max(0, len(got)-8):], len(want))
	}
	app.Close()
	if err := <-ended; err != nil {
		t.Errorf("carry returned %v", err)
	}
}

func TestCutWithinAFrameThatEnds(t *testing.T) {
	calm.Try(t, func(t testing.TB, _ time.Duration) {
		w := startTunnel(t, "websocket")
		big := frame(2, false, 1000)
		send(t, w.target, big[:500])
		receive(t, w.client, big[:500])
		w.cut(service.ErrReplaced)
		checkMasked(t, rest(t, w.target)) // that way nothing is under way
		send(t, w.target, big[500:])
		receive(t, w.client, big[500:])
		expect(t, "client's last", string(rest(t, w.client)), "\x88\x02\x03\xe9")
		w.client.Close()
		w.target.Close()
		w.over(t)
	})
}

func TestCutWithinAFrameThatNeverEnds(t *testing.T) {
	calm.Try(t, func(t testing.TB, _ time.Duration) {
		for _, up := range []bool{true, false} {
			w := startTunnel(t, "websocket")
			from, to := w.client, w.target
			if !up {
				from, to = to, from
			}
			send(t, from, frame(2, up, 1000)[:500])
			receive(t, to, frame(2, up, 1000)[:500])
			began := time.Now()
			w.cut(service.ErrReplaced)
			expect(t, "length of the other way's last", len(rest(t, from)), map[bool]int{true: 4, false: 8}[up])
			w.over(t)
			if took := time.Since(began); took < 900*time.Millisecond || took > 3*time.Second {
				t.Errorf("it took %v", took)
			}
			if got, _ := io.ReadAll(to); len(got) != 0 {
				t.Errorf("% x was sent within a frame", got)
			}
		}
	})
}

func TestNoSecondCloseFrame(t *testing.T) {
	w := startTunnel(t, "websocket")
	send(t, w.target, frame(8, false, 2))
	receive(t, w.client, frame(8, false, 2))
	w.cut(service.ErrReplaced)
	expect(t, "client's last", len(rest(t, w.client)), 0)
	checkMasked(t, rest(t, w.target))
	w.client.Close()
	w.target.Close()
	w.over(t)
}

func TestCutOfASilentPeerIsBounded(t *testing.T) {
	calm.Try(t, func(t testing.TB, _ time.Duration) {
		w := startTunnel(t, "websocket")
		began := time.Now()
		w.cut(service.ErrReplaced)
		w.over(t) // though nobody reads or closes
		if took := time.Since(began); took > 4*time.Second {
			t.Errorf("it took %v", took)
		}
	})
}

func TestCutWhileAPeerDoesNotRead(t *testing.T) {
	calm.Try(t, func(t testing.TB, _ time.Duration) {
		for _, down := range []bool{true, false} {
			w := startTunnel(t, "websocket")
			from := map[bool]*net.TCPConn{true: w.target, false: w.client}[down]
			for err := error(nil); err == nil; { // until all that is between them is full
				from.SetWriteDeadline(time.Now().Add(200 * time.Millisecond))
				_, err = from.Write(frame(2, !down, 1_000_000))
			}
			began := time.Now()
			w.cut(service.ErrReplaced)
			w.over(t)
			if took := time.Since(began); took > 3*time.Second {
				t.Errorf("it took %v", took)
			}
		}
	})
}

func TestOtherProtocolsAreJustClosed(t *testing.T) {
	w := startTunnel(t, "custom/1")
	send(t, w.client, []byte("\x81"))
	receive(t, w.target, []byte("\x81"))
	w.cut(service.ErrReplaced)
	expect(t, "client's last", len(rest(t, w.client)), 0)
	expect(t, "target's last", len(rest(t, w.target)), 0)
	w.over(t)
}

func TestClientThatVanishesEndsTheTunnel(t *testing.T) {
	w := startTunnel(t, "websocket")
	w.client.SetLinger(0)
	w.client.Close() // a reset
	rest(t, w.target)
	w.over(t)
}

func TestUninvitedSwitch(t *testing.T) {
	s := newStage(answers(101, "", 0, "Upgrade", "websocket"))
	x := newExchange("GET", "/")
	s.serve(t, x)
	expect(t, "status", x.status, 502)
	expect(t, "tunnels", s.tunnels, 0)
}

func TestSwitchThatTheClientCannotMake(t *testing.T) {
	ours, target := pair(t)
	s := newStage(&fakeTarget{answer: func(context.Context, func(int, exchange.Header) error) (*exchange.Response, error) {
		return &exchange.Response{Status: 101, Tunnel: ours}, nil
	}})
	x := newExchange("GET", "/")
	x.request.Upgrade, x.upgrade = "websocket", exchange.ErrNoUpgrade
	s.serve(t, x)
	expect(t, "status", x.status, 502)
	target.Close()
}

func TestOtherAnswersToAnUpgradeAreResponses(t *testing.T) {
	s := newStage(answers(426, "no", 2, "Upgrade", "websocket", "Connection", "Upgrade"))
	x := newExchange("GET", "/")
	x.request.Upgrade = "websocket"
	entry := s.serve(t, x)
	expect(t, "status", x.status, 426)
	expect(t, "body", x.body.String(), "no")
	expect(t, "Upgrade", x.header.Has("Upgrade"), false)
	expect(t, "logged status", entry.Status, 426)
}

func TestTunnelsNotesOutliveTheBuffers(t *testing.T) {
	buffer := []byte("/cable?secret")
	ourClient, client := pair(t)
	ourTarget, target := pair(t)
	client.Close()
	target.Close()
	s := newStage(&fakeTarget{answer: func(context.Context, func(int, exchange.Header) error) (*exchange.Response, error) {
		return &exchange.Response{Status: 101, Tunnel: ourTarget}, nil
	}})
	goodbye := s.upgraded
	s.upgraded = func(l *service.Lease) { goodbye(l); copy(buffer, bytes.Repeat([]byte("!"), len(buffer))) }
	text := unsafeString(buffer)
	x := newExchange("GET", "/")
	x.request.Target, x.request.Path, x.request.Query, x.request.HasQuery = text, text[:6], text[7:], true
	x.request.Upgrade, x.client = "websocket", ourClient
	entry := s.serve(t, x)
	expect(t, "logged path", entry.Path+"?"+entry.Query, "/cable?secret")
}

func TestWritesThatFailEndTheLane(t *testing.T) {
	ours, peer := pair(t)
	broken := brokenTunnel{ours}
	send(t, peer, []byte("x"))
	l := lane{from: ours, to: broken}
	if err := l.carry(); !errors.Is(err, errBroken) {
		t.Errorf("carry returned %v", err)
	}
}

var errBroken = errors.New("broken")

type brokenTunnel struct{ exchange.Tunnel }

func (brokenTunnel) Write([]byte) (int, error) { return 0, errBroken }
