package buffer

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"net"
	"testing"
	"time"
)

// wire is a stream between real sockets: target -> the stream -> client.
type wire struct {
	target, source *net.TCPConn // the target's end, and ours
	sink, client   *net.TCPConn // ours, and the client's end
	limits         Limits
	result         chan error
}

// newWire connects both sides. Little fits into the sockets, so that a reader
// who stops is noticed.
func newWire(t *testing.T) *wire {
	w := &wire{limits: limits(t), result: make(chan error, 1)}
	w.target, w.source = connect(t)
	w.sink, w.client = connect(t)
	w.sink.SetWriteBuffer(largeChunk)
	w.client.SetReadBuffer(largeChunk)
	return w
}

func (w *wire) begin() {
	go func() {
		client := bufio.NewWriter(w.sink)
		w.result <- Stream{
			Body: w.source, Client: client, Limits: w.limits,
			Ended: func(error) { w.source.Close() },
			Stop:  func(error) { w.source.SetReadDeadline(time.Unix(1, 0)) },
		}.Relay()
		client.Flush()
		w.sink.Close()
		w.source.Close()
	}()
}

func connect(t *testing.T) (dialed, accepted *net.TCPConn) {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	d, err := net.Dial("tcp", listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	a, err := listener.Accept()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { d.Close(); a.Close() })
	for _, c := range []net.Conn{d, a} {
		c.SetDeadline(time.Now().Add(30 * time.Second)) // of the test
	}
	return d.(*net.TCPConn), a.(*net.TCPConn)
}

func TestFastTargetAndClientThatReadsNothing(t *testing.T) {
	w := newWire(t)
	before := openFiles(t)
	w.begin()
	want := body(16 << 20)
	if _, err := w.target.Write(want); err != nil {
		t.Fatalf("the target could not write: %v", err)
	}
	w.target.CloseWrite()
	if _, err := io.ReadFull(w.target, make([]byte, 1)); err != io.EOF {
		t.Fatalf("the target's connection was not let go: %v", err)
	}
	mustBeEmpty(t, w.limits.Dir)
	got, err := io.ReadAll(w.client)
	if err != nil {
		t.Fatal(err)
	}
	mustEqual(t, "received", got, want)
	if err := <-w.result; err != nil {
		t.Error(err)
	}
	w.target.Close()
	w.sink.Close()
	if after := openFiles(t); after > before {
		t.Errorf("%d files are left open", after-before)
	}
}

func TestClientThatHangsUpStopsAnEndlessTarget(t *testing.T) {
	w := newWire(t)
	w.begin()
	stopped := make(chan error, 1)
	go func() {
		part := bytes.Repeat([]byte("x"), 10_000)
		for {
			if _, err := w.target.Write(part); err != nil {
				stopped <- err
				return
			}
		}
	}()
	io.CopyN(io.Discard, w.client, 1<<20)
	w.client.SetLinger(0)
	w.client.Close()
	var client *ClientError
	if err := <-w.result; !errors.As(err, &client) {
		t.Errorf("error is %v", err)
	}
	var late net.Error
	if err := <-stopped; errors.As(err, &late) && late.Timeout() {
		t.Error("the target was not stopped")
	}
}
