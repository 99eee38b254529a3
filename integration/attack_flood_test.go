package integration

import (
	"encoding/binary"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/net/http2"
)

// floodBound is how much memory the daemon may ever have taken, whatever floods
// it, in KiB.
const floodBound = 192 << 10

// greedBound is the same for clients that ask for much and take nothing.
const greedBound = 400 << 10

// flood is what a hostile client sends again and again on one connection.
type flood struct {
	name   string
	ending string // the codes of the GOAWAY that may come
	send   func(f *frames, i int) error
}

func floods() []flood {
	const calm = "ENHANCE_YOUR_CALM"
	get := func(f *frames, i int, end bool) error { return f.ask(i, end, "GET", "/") }
	then := func(f *frames, i int, end bool, more func() error) error {
		if err := get(f, i, end); err != nil {
			return err
		}
		return more()
	}
	raw := func(f *frames, kind http2.FrameType, flags http2.Flags, stream uint32, payload ...byte) error {
		return f.WriteRawFrame(kind, flags, stream, payload)
	}
	word := func(n uint32) []byte { return binary.BigEndian.AppendUint32(nil, n) }
	return []flood{
		{"rapid reset (CVE-2023-44487)", calm, func(f *frames, i int) error {
			return then(f, i, true, func() error { return f.WriteRSTStream(id(i), http2.ErrCodeCancel) })
		}},
		{"rapid reset of requests with bodies to come", calm, func(f *frames, i int) error {
			return then(f, i, false, func() error { return f.WriteRSTStream(id(i), http2.ErrCodeCancel) })
		}},
		{"made to reset by an update of 0 (CVE-2025-8671)", calm, func(f *frames, i int) error {
			return then(f, i, false, func() error { return raw(f, http2.FrameWindowUpdate, 0, id(i), word(0)...) })
		}},
		{"made to reset by a window too large", calm, func(f *frames, i int) error {
			return then(f, i, false, func() error { return raw(f, http2.FrameWindowUpdate, 0, id(i), word(1<<31-1)...) })
		}},
		{"made to reset by DATA behind the end", calm, func(f *frames, i int) error {
			return then(f, i, true, func() error { return f.WriteData(id(i), false, []byte("x")) })
		}},
		{"made to reset by HEADERS behind the end", calm + " STREAM_CLOSED", func(f *frames, i int) error {
			return then(f, 10*i, true, func() error { return f.head(10*i, true, "x", "y") })
		}},
		{"made to reset by a PRIORITY of a wrong size", calm, func(f *frames, i int) error {
			return then(f, i, false, func() error { return raw(f, http2.FramePriority, 0, id(i), 0, 0) })
		}},
		{"made to reset by a PRIORITY on itself", calm, func(f *frames, i int) error {
			return then(f, i, false, func() error { return raw(f, http2.FramePriority, 0, id(i), append(word(id(i)), 1)...) })
		}},
		{"made to reset by more DATA than the length", calm, func(f *frames, i int) error {
			f.ask(i, false, "POST", "/", "content-length", "1")
			return f.WriteData(id(i), true, []byte("xx"))
		}},
		{"made to reset by a trailer that does not end", calm, func(f *frames, i int) error {
			return then(f, i, false, func() error { return f.head(i, false, "x", "y") })
		}},
		{"malformed heads", calm, func(f *frames, i int) error { return f.head(i, true, "x", "y") }},
		{"heads that depend on themselves", calm, func(f *frames, i int) error {
			return f.WriteHeaders(http2.HeadersFrameParam{StreamID: id(i), EndHeaders: true, EndStream: true,
				BlockFragment: f.fields(":method", "GET", ":scheme", "https", ":authority", "localhost", ":path", "/"), Priority: http2.PriorityParam{StreamDep: id(i)}})
		}},
		{"fields without names (CVE-2019-9516)", calm, func(f *frames, i int) error {
			return f.ask1(i, bytesOf(0, 3*500))
		}},
		{"requests that are answered by 400", calm, func(f *frames, i int) error { return f.ask(i, true, "GET", "x") }},
		{"requests that are answered by 431", calm, func(f *frames, i int) error {
			return f.ask1(i, append([]byte{0x40, 1, 'x', 1, 'y'}, bytesOf(0x80|62, 5000)...))
		}},
		{"more streams than are allowed", calm, func(f *frames, i int) error { return f.ask(i, false, "POST", "/") }},
		{"PING (CVE-2019-9512)", calm, func(f *frames, i int) error { return f.WritePing(false, [8]byte{}) }},
		{"answers to no PING", calm, func(f *frames, i int) error { return f.WritePing(true, [8]byte{}) }},
		{"SETTINGS (CVE-2019-9515)", calm, func(f *frames, i int) error {
			return f.WriteSettings(http2.Setting{ID: http2.SettingInitialWindowSize, Val: uint32(i)})
		}},
		{"empty SETTINGS", calm, func(f *frames, i int) error { return f.WriteSettings() }},
		{"acknowledgements of no SETTINGS", calm, func(f *frames, i int) error { return f.WriteSettingsAck() }},
		{"SETTINGS that change the table's size", calm, func(f *frames, i int) error {
			return f.WriteSettings(http2.Setting{ID: http2.SettingHeaderTableSize, Val: uint32(i % 2 * 4096)})
		}},
		{"PRIORITY", calm, func(f *frames, i int) error { return f.WritePriority(id(i), http2.PriorityParam{Weight: 1}) }},
		{"WINDOW_UPDATE of the connection", calm, func(f *frames, i int) error { return f.WriteWindowUpdate(0, 1) }},
		{"WINDOW_UPDATE of a stream", calm, func(f *frames, i int) error {
			if i == 0 {
				return f.ask(0, false, "POST", "/")
			}
			return f.WriteWindowUpdate(1, 1)
		}},
		{"empty DATA (CVE-2019-9518)", calm, func(f *frames, i int) error {
			if i == 0 {
				return f.ask(0, false, "POST", "/")
			}
			return f.WriteData(1, false, nil)
		}},
		{"DATA of padding alone", calm, func(f *frames, i int) error {
			if i == 0 {
				return f.ask(0, false, "POST", "/")
			}
			return f.WriteDataPadded(1, false, nil, make([]byte, 10))
		}},
		{"empty CONTINUATION (CVE-2024-27316)", calm, func(f *frames, i int) error {
			if i == 0 {
				return f.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: f.fields(":method", "GET"), EndStream: true})
			}
			return f.WriteContinuation(1, false, nil)
		}},
		{"large CONTINUATION", calm, func(f *frames, i int) error {
			if i == 0 {
				return f.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: f.fields(":method", "GET"), EndStream: true})
			}
			return f.WriteContinuation(1, false, f.fields("x", strings.Repeat("\x01", 16000)))
		}},
		{"frames that nobody knows", calm, func(f *frames, i int) error { return raw(f, 0xbb, 0, 0) }},
		{"GOAWAY", calm, func(f *frames, i int) error { return f.WriteGoAway(0, 0, nil) }},
		{"RST_STREAM of what has ended", calm, func(f *frames, i int) error {
			if i == 0 {
				return f.ask(0, true, "GET", "/")
			}
			return f.WriteRSTStream(1, http2.ErrCodeCancel)
		}},

		{"RST_STREAM of what has not begun", "PROTOCOL_ERROR", func(f *frames, i int) error { return f.WriteRSTStream(id(i), http2.ErrCodeCancel) }},
		{"a connection's window too large", "FLOW_CONTROL_ERROR", func(f *frames, i int) error { return f.WriteWindowUpdate(0, 1<<31-1) }},
		{"a connection's window updated by 0", "PROTOCOL_ERROR", func(f *frames, i int) error { return raw(f, http2.FrameWindowUpdate, 0, 0, word(0)...) }},
		{"a promise", "PROTOCOL_ERROR", func(f *frames, i int) error {
			return f.WritePushPromise(http2.PushPromiseParam{StreamID: 1, PromiseID: 2, EndHeaders: true})
		}},
		{"a stream of the server's", "PROTOCOL_ERROR", func(f *frames, i int) error {
			return f.WriteHeaders(http2.HeadersFrameParam{StreamID: 2, BlockFragment: f.fields(":method", "GET"), EndHeaders: true})
		}},
		{"a head that another frame interrupts", "PROTOCOL_ERROR", func(f *frames, i int) error {
			f.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: f.fields(":method", "GET")})
			return f.WritePing(false, [8]byte{})
		}},
		{"a frame of 20 KiB", "FRAME_SIZE_ERROR", func(f *frames, i int) error { return f.WriteData(1, false, make([]byte, 20<<10)) }},
		{"an index of nothing", "COMPRESSION_ERROR", func(f *frames, i int) error { return f.block1(0xff, 0xff, 0xff, 0x03) }},
		{"an index of 0", "COMPRESSION_ERROR", func(f *frames, i int) error { return f.block1(0x80) }},
		{"a number that does not end", "COMPRESSION_ERROR", func(f *frames, i int) error { return f.block1(append([]byte{0xff}, bytesOf(0x80, 1000)...)...) }},
		{"a string longer than its block", "COMPRESSION_ERROR", func(f *frames, i int) error { return f.block1(0x00, 0x7f, 0xff, 0xff, 0xff, 0x07, 'x') }},
		{"a table larger than allowed", "COMPRESSION_ERROR", func(f *frames, i int) error { return f.block1(0x3f, 0xe1, 0xff, 0x03) }},
		{"a change of the table's size in the middle", "COMPRESSION_ERROR", func(f *frames, i int) error { return f.block1(0x40, 1, 'x', 1, 'y', 0x20) }},
		{"Huffman's padding of more than a byte", "COMPRESSION_ERROR", func(f *frames, i int) error { return f.block1(0x00, 0x82, 0xff, 0xff, 0x00) }},
		{"a thousand changes of the table's size", calm, func(f *frames, i int) error {
			return f.WriteHeaders(http2.HeadersFrameParam{StreamID: id(i), BlockFragment: bytesOf(0x20, 1000), EndHeaders: true, EndStream: true})
		}},
		{"a bomb: one large field named 10,000 times", calm, func(f *frames, i int) error {
			field := append([]byte{0x40, 1, 'x', 0x7f, 0xa1, 0x1e}, bytesOf('a', 4000)...) // 127 + 0x21 + 30<<7
			return f.ask1(i, append(field, bytesOf(0x80|62, 10000)...))
		}},
		{"a bomb of cookies", calm, func(f *frames, i int) error {
			return f.ask1(i, append([]byte{0x60, 3, 'a', '=', 'b'}, bytesOf(0x80|62, 4000)...))
		}},
	}
}

// block1 sends bytes as the head of a first request.
func (f *frames) block1(block ...byte) error {
	return f.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: block, EndHeaders: true, EndStream: true})
}

// ask1 asks for / with more bytes in the head.
func (f *frames) ask1(i int, more []byte) error {
	block := append([]byte{0x82, 0x87, 0x84, 0x01, 9}, "localhost"...)
	return f.WriteHeaders(http2.HeadersFrameParam{StreamID: id(i), BlockFragment: append(block, more...), EndHeaders: true, EndStream: true})
}

func bytesOf(b byte, n int) []byte { return slices.Repeat([]byte{b}, n) }

// TestFloodsByHTTP2 has each flood come on two connections at once: each is
// ended, honest clients on other connections are all answered, and memory stays
// within bounds.
func TestFloodsByHTTP2(t *testing.T) {
	t.Parallel()
	target := startWitness(t)
	d, secure := startOpen(t, target.target())
	defer secure.CloseIdleConnections()
	stop := honestClients(t, d)
	stopSecure := honestClientsBy(t, secure, fmt.Sprintf("https://localhost:%d", d.https))
	rows := floods()
	crowd(8, 2*len(rows), func(i int) {
		flood := rows[i/2]
		f := dialFrames(t, d)
		f.SetDeadline(time.Now().Add(3 * patience)) // eight floods at a time, of thousands of frames
		sent := make(chan int, 1)
		go func() {
			n := 0
			for n < 20000 && flood.send(f, n) == nil {
				n++
			}
			sent <- n
		}()
		if got := f.last(); !strings.Contains(flood.ending+" no GOAWAY", got) {
			t.Errorf("%s: %s, want %s", flood.name, got, flood.ending)
		}
		f.Close()
		<-sent
	})
	stop()
	stopSecure()
	d.boundedBy(t, floodBound)
	target.check(t)
}

// boundedBy looks at the most memory that the daemon has ever had, in KiB. With
// the race detector everything takes some times as much.
func (d *daemon) boundedBy(t *testing.T, most int) {
	t.Helper()
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", d.cmd.Process.Pid))
	if err != nil {
		t.Skip("the kernel does not tell how much memory a process has")
	}
	peak := number(string(status), `(?m)^VmHWM:\s+(\d+) kB$`)
	if slices.Contains(buildFlags, "-race") {
		most *= 8
	}
	if peak > most {
		t.Errorf("the daemon took %d MiB, want no more than %d", peak>>10, most>>10)
	}
	t.Logf("the daemon took %d MiB at most; the bound is %d", peak>>10, most>>10)
}

// TestReadersThatDoNotRead asks for a hundred MiB on each of several connections,
// and takes none of it: neither by windows of nothing (CVE-2019-9517), nor by a
// dribble of bytes (CVE-2019-9511), nor by leaving all of it in the sockets. What
// is kept for them stays within bounds, and others are served.
func TestReadersThatDoNotRead(t *testing.T) {
	t.Parallel()
	for mode, flags := range map[string][]string{"streamed": nil, "buffered": buffered} {
		t.Run(mode, func(t *testing.T) {
			t.Parallel()
			target := startLavish(t)
			d, secure := startOpen(t, target, flags...)
			defer secure.CloseIdleConnections()
			for i := range 3 {
				for kind, settings := range [][]http2.Setting{
					{{ID: http2.SettingInitialWindowSize, Val: 0}},
					{{ID: http2.SettingInitialWindowSize, Val: 1}},
					{{ID: http2.SettingInitialWindowSize, Val: 1<<31 - 1}},
				} {
					f := dialFrames(t, d, settings...)
					if kind == 2 {
						f.WriteWindowUpdate(0, 1<<30)
					}
					for n := range 100 {
						f.ask(n, true, "GET", fmt.Sprintf("/%d", i))
					}
					go func() {
						for n := 0; n < 1000 && kind == 1 && f.WriteWindowUpdate(id(n%100), 1) == nil; n++ {
							<-time.After(time.Millisecond)
						}
					}()
				}
			}
			for range 10 {
				response, err := secure.Get(fmt.Sprintf("https://localhost:%d/", d.https))
				if err != nil {
					t.Fatal(err)
				}
				n, err := io.Copy(io.Discard, response.Body)
				response.Body.Close()
				if n != lavish || err != nil {
					t.Errorf("an honest client got %d bytes, %v", n, err)
				}
			}
			d.boundedBy(t, greedBound)
		})
	}
}
