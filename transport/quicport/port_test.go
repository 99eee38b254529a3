package quicport

import (
	"bytes"
	"fmt"
	"net"
	"os"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"
	"golang.org/x/net/ipv4"
)

const patience = 30 * time.Second

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestEachProcessGetsThePacketsOfItsConnections(t *testing.T) {
	for _, address := range []string{"127.0.0.1:0", ":0"} {
		t.Run(address, func(t *testing.T) {
			server, policy := policies(t)
			conn := listenUDP(t, address)
			at := &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1), Port: conn.LocalAddr().(*net.UDPAddr).Port}
			first := startProcess(t, New(conn, 255, NewKey(), nil), "first", server)
			var ofFirst, ofSecond []*client
			for range 5 {
				ofFirst = append(ofFirst, dial(t, at, policy))
			}
			ofFirst[0].wants("first")

			second := first.succeed(t, "second", server)
			for range 5 {
				ofSecond = append(ofSecond, dial(t, at, policy))
			}
			third := second.succeed(t, "third", server)
			var all sync.WaitGroup
			for range 3 {
				for _, c := range ofFirst {
					all.Go(func() { c.wants("first") })
				}
				for _, c := range ofSecond {
					all.Go(func() { c.wants("second") })
				}
				newest := dial(t, at, policy)
				all.Go(func() { newest.wants("third") })
			}
			all.Wait()
			first.end()
			ofSecond[0].wants("second")
			second.end()
			dial(t, at, policy).wants("third")
			third.end()
		})
	}
}

// A newest process that is killed leaves the port to the one before it, which
// finishes what it has begun; one that has handed on leaves it to its successor.
func TestThePortComesBackFromTheNewestAlone(t *testing.T) {
	server, policy := policies(t)
	conn := listenUDP(t, "127.0.0.1:0")
	at := conn.LocalAddr()
	first := startProcess(t, New(conn, 0, NewKey(), nil), "first", server)
	c := dial(t, at, policy)
	second := first.succeed(t, "second", server)
	c.wants("first")
	second.end()
	c.wants("first")

	second = first.succeed(t, "second", server)
	c.wants("first")
	third := second.succeed(t, "third", server)
	of3 := dial(t, at, policy)
	second.end()
	for range 5 {
		of3.wants("third")
	}
	first.end()
	of3.wants("third")
	third.end()
}

// Where another process is started in the newest one's place, that is the one
// that reads: two would take each other's packets.
func TestThePortDoesNotComeBackIfItIsGivenForGood(t *testing.T) {
	server, policy := policies(t)
	conn := listenUDP(t, "127.0.0.1:0")
	first := startProcess(t, New(conn, 0, NewKey(), nil), "first", server)
	dial(t, conn.LocalAddr(), policy).wants("first")
	first.succeedFor(t, true, "second", server).end()

	third := another(t, conn)
	defer third.Close()
	sender, err := net.Dial("udp", conn.LocalAddr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer sender.Close()
	third.SetReadDeadline(time.Now().Add(patience))
	for i := range 50 {
		fmt.Fprintf(sender, "junk %d", i)
		packet := make([]byte, 2000)
		for n := 0; string(packet[:n]) != fmt.Sprintf("junk %d", i); { // the first one's client says something, too
			if n, err = third.Read(packet); err != nil {
				t.Fatalf("packet %d was taken by a process that is not the newest: %v", i, err)
			}
		}
	}
	first.end()
}

func TestGenerationsAreReadWhereTheyAreIssued(t *testing.T) {
	id := []byte{7, 1, 2, 3, 4, 5, 6, 7}
	long := func(first byte, version uint32, id []byte) []byte {
		b := []byte{first, byte(version >> 24), byte(version >> 16), byte(version >> 8), byte(version), byte(len(id))}
		return append(append(b, id...), make([]byte, 20)...)
	}
	short := append([]byte{0x40}, append(bytes.Clone(id), make([]byte, 20)...)...)
	for name, test := range map[string]struct {
		packet []byte
		issued bool
	}{
		"1-RTT":             {short, true},
		"Handshake":         {long(0xe0, 1, id), true},
		"Handshake of 2":    {long(0xf0, version2, id), true},
		"Initial":           {long(0xc0, 1, id), false},
		"0-RTT":             {long(0xd0, 1, id), false},
		"Initial of 2":      {long(0xd0, version2, id), false},
		"0-RTT of 2":        {long(0xe0, version2, id), false},
		"unknown version":   {long(0xe0, 99, id), false},
		"another length":    {long(0xe0, 1, id[:7]), false},
		"no QUIC":           {append([]byte{0x00}, short[1:]...), false},
		"cut short":         {short[:13], false},
		"cut long":          {long(0xe0, 1, id)[:13], false},
		"nothing":           {nil, false},
		"shortest possible": {short[:14], true},
	} {
		generation, issued := generationOf(test.packet)
		if issued != test.issued || issued && generation != 7 {
			t.Errorf("%s: generation %d, %t, want %t", name, generation, issued, test.issued)
		}
	}
}

// What is passed on arrives whole, and what stays moves up.
func TestBatchesAreSorted(t *testing.T) {
	ours, theirs, err := NewLine()
	if err != nil {
		t.Fatal(err)
	}
	before, err := Line(theirs)
	if err != nil {
		t.Fatal(err)
	}
	p := New(listenUDP(t, "127.0.0.1:0"), 2, NewKey(), before)
	defer p.Close()
	after := newLine(ours)
	defer ours.Close()

	var batch []ipv4.Message
	generations := []byte{1, 2, 1, 0, 2, 2, 1}
	for i, generation := range generations {
		packet := append([]byte{fixedBit, generation}, bytes.Repeat([]byte{byte(i)}, 20+i)...)
		m := message()
		m.N, m.NN = copy(m.Buffers[0], packet), copy(m.OOB, bytes.Repeat([]byte{'o'}, i))
		m.Addr = &net.UDPAddr{IP: net.ParseIP("fe80::1"), Port: 1000 + i, Zone: "eth0"}
		batch = append(batch, m)
	}
	check := func(what string, m *ipv4.Message, i int) {
		t.Helper()
		if m.N != 22+i || m.Buffers[0][1] != generations[i] || m.Buffers[0][m.N-1] != byte(i) || m.NN != i || i > 0 && m.OOB[i-1] != 'o' ||
			m.Addr.String() != fmt.Sprintf("[fe80::1%%eth0]:%d", 1000+i) {
			t.Errorf("%s: %d bytes %x, OOB %q, from %s, want packet %d", what, m.N, m.Buffers[0][:m.N], m.OOB[:m.NN], m.Addr, i)
		}
	}
	if left := p.passOn(batch); left != 3 {
		t.Fatalf("%d packets stay, want 3", left)
	}
	for at, i := range []int{1, 4, 5} {
		check("stays", &batch[at], i)
	}
	ours.SetReadDeadline(time.Now().Add(patience))
	for _, i := range []int{0, 2, 3, 6} {
		m := []ipv4.Message{message()}
		if n, err := after.read(m); n != 1 || err != nil {
			t.Fatalf("%d messages, %v", n, err)
		}
		check("passed on", &m[0], i)
	}
}

func message() ipv4.Message {
	return ipv4.Message{OOB: make([]byte, 128), Buffers: [][]byte{make([]byte, 1452)}}
}

// A process that takes nothing holds nobody up.
func TestALineThatIsFullLosesPackets(t *testing.T) {
	ours, theirs, err := NewLine()
	if err != nil {
		t.Fatal(err)
	}
	defer theirs.Close()
	l := newLine(ours)
	m := message()
	m.N, m.Addr = 1452, &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 1}
	done := make(chan struct{})
	go func() {
		defer close(done)
		for range 10_000 {
			l.send(&m)
		}
		if l.dead.Load() {
			t.Error("a full line is taken for a dead one")
		}
		theirs.Close()
		l.send(&m)
		if !l.dead.Load() {
			t.Error("a line whose other end is closed is not dead")
		}
		ours.Close()
		l.send(&m)
	}()
	select {
	case <-done:
	case <-time.After(patience):
		t.Fatal("it waits")
	}
}

func FuzzUnpack(f *testing.F) {
	f.Add([]byte{1, 6, 1, 2, 3, 4, 5, 6, 0, 1, 9, 'x'})
	f.Fuzz(func(t *testing.T, frame []byte) {
		m := ipv4.Message{OOB: make([]byte, 128), Buffers: [][]byte{make([]byte, 1452)}}
		if unpack(frame, &m) == nil && (m.N > 1452 || m.NN > 128 || m.Addr == nil) {
			t.Errorf("%x became %+v", frame, m)
		}
	})
}

func TestLinesAreMadeOfUnixSockets(t *testing.T) {
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	if _, err := Line(r); err == nil {
		t.Error("a pipe is taken for a line")
	}
}
