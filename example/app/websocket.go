package main

import (
	"bufio"
	"crypto/sha1"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
)

// What a frame is (RFC 6455, section 5.2).
const (
	continuation = 0x0
	text         = 0x1
	binaryData   = 0x2
	closing      = 0x8
	ping         = 0x9
	pong         = 0xa

	maxPayload = 64 << 10
)

// echo is a WebSocket: it greets with the version, then sends back what comes.
func (a *app) echo(w http.ResponseWriter, r *http.Request) {
	key := r.Header.Get("Sec-WebSocket-Key")
	if !strings.EqualFold(r.Header.Get("Upgrade"), "websocket") || key == "" {
		w.Header().Set("Upgrade", "websocket")
		http.Error(w, "this is a WebSocket", http.StatusUpgradeRequired)
		return
	}
	conn, buffered, err := http.NewResponseController(w).Hijack()
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	defer conn.Close()
	fmt.Fprintf(conn, "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: %s\r\n\r\n", accept(key))
	if writeFrame(conn, text, []byte(a.String())) != nil {
		return
	}
	for serveFrame(buffered.Reader, conn) == nil {
	}
}

// accept proves to the client that its handshake was understood (section 1.3).
func accept(key string) string {
	sum := sha1.Sum([]byte(key + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"))
	return base64.StdEncoding.EncodeToString(sum[:])
}

var errClosed = errors.New("the client closes")

// serveFrame answers one frame: data with the same data, a ping with a pong,
// a close with a close.
func serveFrame(r *bufio.Reader, w io.Writer) error {
	opcode, payload, err := readFrame(r)
	if err != nil {
		return err
	}
	switch opcode {
	case continuation, text, binaryData:
		return writeFrame(w, text, payload)
	case ping:
		return writeFrame(w, pong, payload)
	case closing:
		writeFrame(w, closing, payload)
		return errClosed
	default:
		return nil
	}
}

func readFrame(r *bufio.Reader) (opcode byte, payload []byte, err error) {
	var head [2]byte
	if _, err := io.ReadFull(r, head[:]); err != nil {
		return 0, nil, err
	}
	size, err := readSize(r, head[1]&0x7f)
	if err != nil {
		return 0, nil, err
	}
	if head[1]&0x80 == 0 || size > maxPayload {
		return 0, nil, errors.New("the frame is not masked or too long")
	}
	var mask [4]byte
	if _, err := io.ReadFull(r, mask[:]); err != nil {
		return 0, nil, err
	}
	payload = make([]byte, size)
	if _, err := io.ReadFull(r, payload); err != nil {
		return 0, nil, err
	}
	for i := range payload {
		payload[i] ^= mask[i%4]
	}
	return head[0] & 0x0f, payload, nil
}

// readSize reads the longer forms that a length can take.
func readSize(r io.Reader, short byte) (uint64, error) {
	switch short {
	case 126:
		var n uint16
		err := binary.Read(r, binary.BigEndian, &n)
		return uint64(n), err
	case 127:
		var n uint64
		err := binary.Read(r, binary.BigEndian, &n)
		return n, err
	default:
		return uint64(short), nil
	}
}

// writeFrame writes a whole message in one frame.
func writeFrame(w io.Writer, opcode byte, payload []byte) error {
	frame := []byte{0x80 | opcode}
	switch n := len(payload); {
	case n < 126:
		frame = append(frame, byte(n))
	case n <= 0xffff:
		frame = binary.BigEndian.AppendUint16(append(frame, 126), uint16(n))
	default:
		frame = binary.BigEndian.AppendUint64(append(frame, 127), uint64(n))
	}
	_, err := w.Write(append(frame, payload...))
	return err
}
