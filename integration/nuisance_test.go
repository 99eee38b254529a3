package integration

import (
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"
)

// nuisances are what a proxy meets beside honest requests, over and over.
type nuisances struct {
	t    *testing.T
	d    *daemon
	s    *storm
	app  *app // of the services that come, go and pause
	stop chan struct{}
	done sync.WaitGroup
	made int // services that came and went
}

// every does something again and again, with a pause between.
func (n *nuisances) every(pause time.Duration, do func()) {
	n.done.Go(func() {
		for {
			select {
			case <-n.stop:
				return
			case <-time.After(pause):
				do()
			}
		}
	})
}

func (n *nuisances) end() {
	close(n.stop)
	n.done.Wait()
}

// open is a connection to the plain port; nil is a fault that is told.
func (n *nuisances) open() net.Conn {
	conn, err := n.d.dialPlain()
	if err != nil {
		n.t.Errorf("the plain port: %v", err)
		return nil
	}
	conn.SetDeadline(time.Now().Add(patience))
	return conn
}

// abortUpload breaks a body off, by a reset or by an orderly close.
func (n *nuisances) abortUpload(host string) {
	conn := n.open()
	if conn == nil {
		return
	}
	fmt.Fprintf(conn, "POST /upload HTTP/1.1\r\nHost: %s\r\nContent-Length: 1000000\r\n\r\n%s", host, strings.Repeat("x", 50_000))
	if time.Now().UnixNano()%2 == 0 {
		conn.(*net.TCPConn).SetLinger(0)
	}
	conn.Close()
}

// leaveEarly hangs up on slow answers and on streams.
func (n *nuisances) leaveEarly(host string) {
	for _, path := range []string{"/slow", "/events", "/echo"} {
		conn := n.open()
		if conn == nil {
			return
		}
		fmt.Fprintf(conn, "GET %s HTTP/1.1\r\nHost: %s\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n", path, host)
		conn.SetReadDeadline(time.Now().Add(50 * time.Millisecond))
		conn.Read(make([]byte, 10))
		conn.Close()
	}
}

// readSlowly takes a page a few bytes at a time, through a small window.
func (n *nuisances) readSlowly(host string) {
	conn := n.open()
	if conn == nil {
		return
	}
	defer conn.Close()
	conn.(*net.TCPConn).SetReadBuffer(1)
	fmt.Fprintf(conn, "GET / HTTP/1.1\r\nHost: %s\r\nConnection: close\r\n\r\n", host)
	for range 100 {
		if _, err := conn.Read(make([]byte, 50)); err != nil {
			return
		}
		<-time.After(5 * time.Millisecond)
	}
}

// sayHalfAHead leaves one connection with half a head behind for a while, and
// one with nothing.
func (n *nuisances) sayHalfAHead() {
	for _, half := range []string{"", "GET / HTTP/1.1\r\nHo"} {
		if conn := n.open(); conn != nil {
			io.WriteString(conn, half)
			time.AfterFunc(3*time.Second, func() { conn.Close() })
		}
	}
}

// failHandshakes says things to the TLS port that are no handshake, or one for
// a name that nobody has.
func (n *nuisances) failHandshakes() {
	address := fmt.Sprintf("127.0.0.1:%d", n.d.https)
	for _, junk := range []string{"", "GET / HTTP/1.1\r\n\r\n", "\x16\x03\x01\x02\x00\x01", strings.Repeat("\xff", 500)} {
		if conn, err := net.Dial("tcp", address); err == nil {
			io.WriteString(conn, junk)
			conn.Close()
		}
	}
	conn, err := tls.DialWithDialer(&net.Dialer{Timeout: patience}, "tcp", address, &tls.Config{ServerName: "nobody.example", InsecureSkipVerify: true})
	if err == nil {
		conn.Close()
		n.t.Error("a handshake for a name that nobody has succeeds")
	}
}

// pauseAndResume holds requests, of which one leaves, and has the others
// served; then it stops and resumes.
func (n *nuisances) pauseAndResume() {
	const host = "held.example"
	n.order("deploy", "held", "--host", host, "--target", n.app.target())
	n.order("pause", "held")
	var held sync.WaitGroup
	for range 5 {
		held.Go(func() {
			n.counted("held by a pause", host)
		})
	}
	if conn := n.open(); conn != nil {
		fmt.Fprintf(conn, "GET / HTTP/1.1\r\nHost: %s\r\n\r\n", host)
		<-time.After(100 * time.Millisecond)
		conn.Close()
	}
	n.order("resume", "held")
	held.Wait()
	n.order("stop", "held", "--message", "back soon")
	if err := n.fetch(host); err == nil || !strings.Contains(err.Error(), "503") {
		n.t.Errorf("a stopped service answers %v, want 503", err)
	}
	n.order("resume", "held")
	n.order("remove", "held")
}

// comeAndGo deploys a service of a new name, has it serve, removes it, and
// deploys one that cannot work.
func (n *nuisances) comeAndGo() {
	n.made++
	name := fmt.Sprintf("temp-%d", n.made)
	host := name + ".example"
	n.order("deploy", name, "--host", host, "--target", n.app.target())
	n.counted("services that come and go", host)
	n.order("remove", name)
	if _, _, code := n.d.run("deploy", name, "--host", host, "--target", "127.0.0.1:1", "--deploy-timeout", "100ms"); code == 0 {
		n.t.Error("a deploy of nothing succeeds")
	}
}

func (n *nuisances) order(args ...string) {
	if _, stderr, code := n.d.run(args...); code != 0 {
		n.t.Errorf("%v: %s", args, stderr)
	}
}

// counted is a request that has to be answered well.
func (n *nuisances) counted(kind, host string) {
	begun := time.Now()
	err := n.fetch(host)
	n.s.tally.add(outcome{kind, begun, time.Since(begun), err})
}

func (n *nuisances) fetch(host string) error {
	client := &http.Client{Timeout: patience, Transport: &http.Transport{DisableKeepAlives: true}}
	response, err := client.Do(n.d.request(http.MethodGet, host, "/", nil))
	if err != nil {
		return err
	}
	_, err = whole(response)
	return err
}
