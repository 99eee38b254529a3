package integration

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"
)

// frame is one WebSocket frame (RFC 6455, section 5.2).
type frame struct {
	opcode  byte
	masked  bool
	payload []byte
}

func writeFrame(w io.Writer, f frame) error {
	var b bytes.Buffer
	b.WriteByte(0x80 | f.opcode)
	mask := byte(0)
	if f.masked {
		mask = 0x80
	}
	b.WriteByte(mask | byte(len(f.payload)))
	key := [4]byte{1, 2, 3, 4}
	if f.masked {
		b.Write(key[:])
	}
	for i, c := range f.payload {
		if f.masked {
			c ^= key[i%4]
		}
		b.WriteByte(c)
	}
	_, err := w.Write(b.Bytes())
	return err
}

func readFrame(r io.Reader) (frame, error) {
	head := make([]byte, 2)
	if _, err := io.ReadFull(r, head); err != nil {
		return frame{}, err
	}
	f := frame{opcode: head[0] & 0x0f, masked: head[1]&0x80 != 0}
	var key [4]byte
	if f.masked {
		if _, err := io.ReadFull(r, key[:]); err != nil {
			return f, err
		}
	}
	f.payload = make([]byte, head[1]&0x7f)
	if _, err := io.ReadFull(r, f.payload); err != nil {
		return f, err
	}
	for i := range f.payload {
		if f.masked {
			f.payload[i] ^= key[i%4]
		}
	}
	return f, nil
}

// switching adds a path that switches protocols and hands the connection over.
func switching(protocol string, serve func(net.Conn, *bufio.Reader)) func(*http.ServeMux) {
	return func(mux *http.ServeMux) {
		mux.HandleFunc("/switch", func(w http.ResponseWriter, _ *http.Request) {
			conn, buffered, err := http.NewResponseController(w).Hijack()
			if err != nil {
				return
			}
			defer conn.Close()
			fmt.Fprintf(conn, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: %s\r\n\r\n", protocol)
			serve(conn, buffered.Reader)
		})
	}
}

// upgrade asks a daemon for another protocol.
func upgrade(t *testing.T, d *daemon, protocol string) (net.Conn, *bufio.Reader) {
	t.Helper()
	conn := dial(t, d)
	fmt.Fprintf(conn, "GET /switch HTTP/1.1\r\nHost: a.example\r\nConnection: Upgrade\r\nUpgrade: %s\r\n\r\n", protocol)
	r := bufio.NewReader(conn)
	response, err := http.ReadResponse(r, nil)
	if err != nil {
		t.Fatal(err)
	}
	if response.StatusCode != http.StatusSwitchingProtocols || !strings.EqualFold(response.Header.Get("Upgrade"), protocol) {
		t.Fatalf("upgrade answered %d, Upgrade %q", response.StatusCode, response.Header.Get("Upgrade"))
	}
	return conn, r
}

func TestWebSocketIsClosedProperlyWhenItsTargetIsReplaced(t *testing.T) {
	d := startDaemon(t)
	told := make(chan frame, 1)
	old := startApp(t, "old", switching("websocket", func(conn net.Conn, r *bufio.Reader) {
		for {
			f, err := readFrame(r)
			if err != nil {
				close(told)
				return
			}
			if f.opcode == 8 {
				told <- f
				return
			}
			writeFrame(conn, frame{opcode: f.opcode, payload: f.payload})
		}
	}))
	next := startApp(t, "next")
	d.must("deploy", "web", "--target", old.target())
	conn, r := upgrade(t, d, "websocket")
	if err := writeFrame(conn, frame{1, true, []byte("hello")}); err != nil {
		t.Fatal(err)
	}
	if f, err := readFrame(r); err != nil || string(f.payload) != "hello" {
		t.Fatalf("echo: %q, %v", f.payload, err)
	}

	d.must("deploy", "web", "--target", next.target())

	f, err := readFrame(r)
	if err != nil || f.opcode != 8 || f.masked || len(f.payload) < 2 || binary.BigEndian.Uint16(f.payload) != 1001 {
		t.Errorf("the client got %+v, %v, want an unmasked Close frame with 1001", f, err)
	}
	if rest, err := io.ReadAll(r); err != nil || len(rest) > 0 {
		t.Errorf("after the Close frame: %q, %v, want the end", rest, err)
	}
	if f, ok := <-told; !ok || !f.masked || len(f.payload) < 2 || binary.BigEndian.Uint16(f.payload) != 1001 {
		t.Errorf("the target got %+v, want a masked Close frame with 1001", f)
	}
	eventually(t, "the access log says 101", func() error {
		for _, line := range d.requests() {
			if line["path"] == "/switch" && line["status"] == float64(101) {
				return nil
			}
		}
		return fmt.Errorf("no such line")
	})
}

func TestOtherProtocolsAreJustClosed(t *testing.T) {
	d := startDaemon(t)
	old := startApp(t, "old", switching("chat", func(conn net.Conn, r *bufio.Reader) { io.Copy(conn, r) }))
	next := startApp(t, "next")
	d.must("deploy", "web", "--target", old.target())
	conn, r := upgrade(t, d, "chat")
	fmt.Fprint(conn, "hello")
	if echo := make([]byte, 5); true {
		if _, err := io.ReadFull(r, echo); err != nil || string(echo) != "hello" {
			t.Fatalf("echo: %q, %v", echo, err)
		}
	}
	d.must("deploy", "web", "--target", next.target())
	if rest, _ := io.ReadAll(r); len(rest) > 0 {
		t.Errorf("after the deploy came %q, want nothing", rest)
	}
}

func TestEndOfTheProxyEndsTunnels(t *testing.T) {
	d := startDaemon(t)
	a := startApp(t, "a", switching("websocket", func(conn net.Conn, r *bufio.Reader) { io.Copy(io.Discard, r) }))
	d.must("deploy", "web", "--target", a.target())
	_, r := upgrade(t, d, "websocket")
	began := time.Now()
	d.stop()
	if f, err := readFrame(r); err != nil || f.opcode != 8 {
		t.Errorf("got %+v, %v, want a Close frame", f, err)
	}
	if took := awake(began); took > 6*time.Second {
		t.Errorf("an open WebSocket kept the proxy from ending for %s", took)
	}
}

func TestRemoveEndsTunnels(t *testing.T) {
	d := startDaemon(t)
	a := startApp(t, "a", switching("websocket", func(conn net.Conn, r *bufio.Reader) { io.Copy(io.Discard, r) }))
	d.must("deploy", "web", "--target", a.target())
	_, r := upgrade(t, d, "websocket")
	d.must("remove", "web")
	if f, err := readFrame(r); err != nil || f.opcode != 8 {
		t.Errorf("got %+v, %v, want a Close frame", f, err)
	}
	if status, _ := d.get("a.example", "/"); status != http.StatusNotFound {
		t.Errorf("a removed service answers %d", status)
	}
}
