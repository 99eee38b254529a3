package integration

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
)

// attempt is one input of a hostile client, and what has to become of it.
//
// In bytes, {me} is a name of this attack alone, and {hidden} a request that no
// reading of the bytes but a wrong one would find. In reaches, too.
type attempt struct {
	name    string
	section string // of RFC 9112, or 9110 where it says so
	bytes   string
	// answers are the statuses of all that comes back, in order. Where the RFCs
	// leave a choice, it is the one that docs/decisions tells.
	answers string
	// reaches is what the target has to see, as seen.String has it, with "; " between. One
	// that ends in … is a request that is not whole: a target that is streamed
	// to may see it cut off, or not at all; a buffered one sees nothing. One that
	// ends in ? may be seen.
	reaches string
	kept    bool   // the connection has to stay open, else it has to end
	then    ending // what the client does after its bytes
}

// ending is how a client behaves when it has sent all of its bytes.
type ending int

const (
	waits    ending = iota // and reads
	closes                 // its sending side
	resets                 // its connection, unread
	vanishes               // closes it in good order, unread
)

// attacks are all tables.
func attacks() []attempt {
	return slices.Concat(lengthAttacks, codingAttacks(), chunkAttacks, lineAttacks(), fieldAttacks(),
		hostAttacks, limitAttacks(), protocolAttacks(), pipelineAttacks(), abortAttacks())
}

// TestAttacksByClients sends each row of the tables to a daemon that streams and
// to one that buffers, while honest clients share their pools of connections.
func TestAttacksByClients(t *testing.T) {
	t.Parallel()
	rows := attacks()
	if len(rows) < 250 {
		t.Errorf("there are %d attacks", len(rows))
	}
	t.Logf("%d attacks", len(rows))
	for mode, flags := range map[string][]string{"streamed": nil, "buffered": buffered} {
		t.Run(mode, func(t *testing.T) {
			t.Parallel()
			d := startDaemon(t)
			target := startWitness(t)
			d.must(append([]string{"deploy", "web", "--target", target.target()}, flags...)...)
			stop := honestClients(t, d)
			crowd(64, len(rows), func(i int) {
				rows[i].run(t, d, fmt.Sprintf("r%d.example", i))
			})
			stop()
			d.stop() // so that all that was sent has arrived
			target.check(t)
			for i, a := range rows {
				a.compare(t, target, fmt.Sprintf("r%d.example", i), mode == "buffered")
			}
		})
	}
}

// crowd calls f with each number below n, most at once.
func crowd(most, n int, f func(i int)) {
	var all sync.WaitGroup
	turn := make(chan struct{}, most)
	for i := range n {
		turn <- struct{}{}
		all.Go(func() {
			defer func() { <-turn }()
			f(i)
		})
	}
	all.Wait()
}

func (a attempt) String() string { return a.section + ", " + a.name }

// filled is a text of the attack with its name in it.
func filled(text, me string) string {
	return strings.NewReplacer("{hidden}", "GET /hidden HTTP/1.1\r\nHost: "+me+"\r\n\r\n", "{me}", me).Replace(text)
}

func (a attempt) run(t *testing.T, d *daemon, me string) {
	conn := dial(t, d)
	sent := make(chan struct{})
	go func() {
		defer close(sent)
		io.WriteString(conn, filled(a.bytes, me)) // which may be refused before its end
		a.finish(conn)
	}()
	if a.then == waits || a.then == closes {
		a.read(t, conn, me)
	}
	<-sent
}

// finish does what the client does after its bytes.
func (a attempt) finish(conn net.Conn) {
	switch tcp := conn.(*net.TCPConn); a.then {
	case closes:
		tcp.CloseWrite()
	case resets:
		tcp.SetLinger(0)
		conn.Close()
	case vanishes:
		conn.Close()
	}
}

// read reads all answers, and looks whether they are this client's own.
func (a attempt) read(t *testing.T, conn net.Conn, me string) {
	r := bufio.NewReader(conn)
	var got []string
	want := strings.Fields(a.answers)
	method, _, _ := strings.Cut(a.bytes, " ")
	for len(got) < len(want) {
		status, err := a.readAnswer(t, r, method, me)
		if err != nil {
			t.Errorf("%s: answered %v and %v, want %v", a, got, err, want)
			return
		}
		got = append(got, status)
	}
	if !slices.Equal(got, want) {
		t.Errorf("%s: answered %v, want %v", a, got, want)
	}
	if a.kept {
		fmt.Fprintf(conn, "GET /after HTTP/1.1\r\nHost: %s\r\nConnection: close\r\n\r\n", me)
		if status, err := a.readAnswer(t, r, "GET", me); status != "200" || err != nil {
			t.Errorf("%s: a request after it got %s, %v", a, status, err)
		}
	}
	rest, err := io.ReadAll(r)
	if a.then == closes && errors.Is(err, syscall.ECONNRESET) {
		err = nil // it left before the end
	}
	if len(rest) > 0 || err != nil {
		t.Errorf("%s: after the answers came %.80q, %v, want the connection's end", a, rest, err)
	}
}

func (a attempt) readAnswer(t *testing.T, r *bufio.Reader, method, me string) (string, error) {
	response, err := http.ReadResponse(r, &http.Request{Method: method})
	if err != nil {
		return "", err
	}
	body, err := io.ReadAll(response.Body)
	if response.StatusCode == 200 && method != "HEAD" && !strings.Contains(string(body), me) {
		t.Errorf("%s: the answer is another one's: %.80q", a, body)
	}
	return fmt.Sprint(response.StatusCode), err
}

// compare looks at what the target saw of the attack. What is sent after the
// attack itself does not count.
func (a attempt) compare(t *testing.T, target *witness, me string, buffered bool) {
	var whole, cut, open []string
	for want := range strings.SplitSeq(filled(a.reaches, me), "; ") {
		if maybe, found := strings.CutSuffix(want, " ?"); found {
			open = append(open, maybe)
		} else if strings.HasSuffix(want, "…") {
			cut = append(cut, want)
		} else if want != "" {
			whole = append(whole, want)
		}
	}
	if buffered {
		cut = nil
	}
	got := target.of(me)
	for _, want := range whole {
		if !slices.Contains(got, want) {
			t.Errorf("%s: the target saw %q, want %q", a, got, want)
		}
	}
	for _, saw := range got {
		if !slices.Contains(slices.Concat(whole, cut, open), saw) && saw != "GET /after" {
			t.Errorf("%s: the target saw %q, want %q", a, saw, a.reaches)
		}
	}
}
