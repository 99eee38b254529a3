package socket

import (
	"bytes"
	"errors"
	"io"
	"net"
	"os"
	"sync"
	"syscall"
	"testing"
	"time"
)

// pair returns the two ends of a connection, the first of them cheap.
func pair(t *testing.T) (net.Conn, *net.TCPConn) {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	far, err := net.Dial("tcp", listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	near, err := listener.Accept()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { near.Close(); far.Close() })
	return Of(near), far.(*net.TCPConn)
}

func pattern(n int) []byte {
	p := make([]byte, n)
	for i := range p {
		p[i] = byte(i * 7 / 3)
	}
	return p
}

func TestEverythingGoesThroughBothWays(t *testing.T) {
	near, far := pair(t)
	want := pattern(5 << 20)
	for name, way := range map[string][2]net.Conn{"out": {near, far}, "in": {far, near}} {
		var wait sync.WaitGroup
		wait.Go(func() {
			for rest := want; len(rest) > 0; { // parts on both sides of what one call moves
				n, err := way[0].Write(rest[:min(len(rest), 50<<10+len(rest)%most)])
				if rest = rest[n:]; err != nil {
					t.Error(name, err)
					return
				}
			}
		})
		got := make([]byte, len(want))
		if _, err := io.ReadFull(way[1], got); err != nil || !bytes.Equal(got, want) {
			t.Errorf("%s: what came is not what was sent, error %v", name, err)
		}
		wait.Wait()
	}
}

func TestErrorsAreThoseOfAnyConnection(t *testing.T) {
	near, far := pair(t)
	if n, err := near.Read(nil); n != 0 || err != nil {
		t.Errorf("reading nothing: %d, %v", n, err)
	}
	near.SetReadDeadline(time.Now().Add(time.Millisecond))
	if _, err := near.Read(make([]byte, 1)); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("beyond the deadline: %v", err)
	}
	var timeout net.Error
	if _, err := near.Read(make([]byte, 1)); !errors.As(err, &timeout) || !timeout.Timeout() {
		t.Errorf("%v is no time-out", err)
	}
	near.SetDeadline(time.Time{})
	far.CloseWrite()
	if _, err := near.Read(make([]byte, 1)); err != io.EOF {
		t.Errorf("at the end: %v", err)
	}
	far.SetLinger(0)
	far.Close()
	var err error
	for deadline := time.Now().Add(30 * time.Second); err == nil && time.Now().Before(deadline); {
		_, err = near.Write([]byte("x"))
	}
	if !errors.Is(err, syscall.EPIPE) && !errors.Is(err, syscall.ECONNRESET) {
		t.Errorf("writing to who is gone: %v", err)
	}
	near.Close()
	if _, err := near.Read(make([]byte, 1)); !errors.Is(err, net.ErrClosed) {
		t.Errorf("after Close: %v", err)
	}
	if _, err := near.Write(make([]byte, 1)); !errors.Is(err, net.ErrClosed) {
		t.Errorf("after Close: %v", err)
	}
}

func TestCloseEndsAReadThatWaits(t *testing.T) {
	near, _ := pair(t)
	ended := make(chan error)
	go func() { _, err := near.Read(make([]byte, 1)); ended <- err }()
	near.Close()
	select {
	case err := <-ended:
		if !errors.Is(err, net.ErrClosed) {
			t.Error(err)
		}
	case <-time.After(30 * time.Second):
		t.Fatal("it still waits")
	}
}

func TestNoAllocations(t *testing.T) {
	if !cheap {
		t.Skip("the standard library's own connection is used here")
	}
	near, far := pair(t)
	if c := Of(near); c != near {
		t.Error("a cheap connection was made anew")
	}
	p := make([]byte, 100)
	if n := testing.AllocsPerRun(1000, func() {
		far.Write(p)
		near.Read(p)
		near.Write(p)
		far.Read(p)
	}); n >= 1 {
		t.Errorf("%v allocations", n)
	}
}

func newPipe(t *testing.T) *Pipe {
	t.Helper()
	p := NewPipe()
	if p == nil {
		t.Skip("there are no pipes to be had")
	}
	return p
}

func TestPipeMovesBytesFromOneConnectionToAnother(t *testing.T) {
	from, source := pair(t)
	to, sink := pair(t)
	want := pattern(3 << 20)
	go func() { source.Write(want); source.CloseWrite() }()
	result := make(chan []byte)
	go func() { got, _ := io.ReadAll(sink); result <- got }()

	p := newPipe(t)
	moved := 0
	for {
		n, err := p.Fill(from, int64(len(want)))
		if err == io.EOF {
			break
		}
		if err != nil || n != p.Held() {
			t.Fatalf("filled with %d of %d: %v", p.Held(), n, err)
		}
		if n, err = p.Drain(to); err != nil || p.Held() != 0 {
			t.Fatalf("%d left: %v", p.Held(), err)
		}
		moved += n
	}
	TCP(to).CloseWrite()
	p.Close()
	if got := <-result; moved != len(want) || !bytes.Equal(got, want) {
		t.Errorf("%d of %d bytes were moved, %d came", moved, len(want), len(got))
	}
}

// A pipe that is full while more has come in says so, rather than to wait for
// what is there.
func TestPipeIsFull(t *testing.T) {
	from, source := pair(t)
	want := pattern(32 << 20)
	go source.Write(want)
	p := newPipe(t)
	defer p.Close()
	var err error
	from.SetReadDeadline(time.Now().Add(30 * time.Second))
	for err == nil {
		_, err = p.Fill(from, int64(len(want)))
	}
	if !errors.Is(err, errFull) || p.Held() == 0 {
		t.Fatalf("after %d bytes: %v", p.Held(), err)
	}
	held := p.Held()
	got, err := io.ReadAll(p)
	if err != nil || !bytes.Equal(got, want[:held]) {
		t.Errorf("of %d bytes came %d, error %v", held, len(got), err)
	}
	if n, err := p.Fill(from, 10); n == 0 || err != nil {
		t.Errorf("it has room again, and took %d: %v", n, err)
	}
}

// What a request has left in a pipe is never another one's.
func TestClosedPipeKeepsNothing(t *testing.T) {
	from, source := pair(t)
	for range 20 {
		source.Write([]byte("secret"))
		p := newPipe(t)
		if p.Held() != 0 {
			t.Fatal("a new pipe holds something")
		}
		if n, err := p.Fill(from, 6); n != 6 || err != nil {
			t.Fatalf("%d, %v", n, err)
		}
		p.Close()
	}
	var none *Pipe
	none.Close()
}

func TestPipeEndsWithItsConnections(t *testing.T) {
	from, source := pair(t)
	to, sink := pair(t)
	p := newPipe(t)
	defer p.Close()
	from.SetReadDeadline(time.Now().Add(time.Millisecond))
	if _, err := p.Fill(from, 1); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("beyond the deadline: %v", err)
	}
	from.SetReadDeadline(time.Time{})
	source.Write([]byte("x"))
	if _, err := p.Fill(from, 1); err != nil {
		t.Fatal(err)
	}
	sink.Close()
	to.Close()
	if n, err := p.Drain(to); n != 0 || !errors.Is(err, net.ErrClosed) {
		t.Errorf("into a closed connection went %d: %v", n, err)
	}
}
