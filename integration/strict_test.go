package integration

import (
	"bufio"
	"crypto/tls"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"syscall"
	"time"
)

// strict is a client that hides nothing: unlike most it never sends a request
// a second time, so a connection that closes under it is a request lost. It
// goes by what answers say: after Connection: close, or a WebSocket's Close
// frame, it dials anew.
type strict struct {
	dial  func() (net.Conn, error)
	tally *tally
	looks bool // before it sends, whether the connection is still there
	stop  chan struct{}
	done  sync.WaitGroup
}

// strictPause lies between a client's requests, so that no keep-alive
// connection is idle for long.
const strictPause = 100 * time.Millisecond

func startStrict(to *tally, dial func() (net.Conn, error)) *strict {
	return &strict{dial: dial, tally: to, stop: make(chan struct{})}
}

// end returns when no request is under way any more.
func (s *strict) end() {
	close(s.stop)
	s.done.Wait()
}

// wait reports whether to go on, after a pause.
func (s *strict) wait() bool {
	select {
	case <-s.stop:
		return false
	case <-time.After(strictPause):
		return true
	}
}

// keepAlive sends requests one after the other on one connection.
func (s *strict) keepAlive(kind, host, body string) {
	s.done.Go(func() {
		var conn net.Conn
		var r *bufio.Reader
		for s.wait() {
			begun := time.Now()
			if conn != nil && s.looks && !there(conn) {
				conn.Close()
				conn = nil
			}
			var err error
			if conn == nil {
				if conn, err = s.dial(); err == nil {
					r = bufio.NewReader(conn)
				}
			}
			closes := err != nil
			if err == nil {
				closes, err = exchangeOnce(conn, r, host, body)
			}
			s.tally.add(outcome{kind, begun, time.Since(begun), err})
			if conn != nil && (closes || err != nil) {
				conn.Close()
				conn = nil
			}
		}
		if conn != nil {
			conn.Close()
		}
	})
}

// there reports whether a connection on which nothing is due is still open.
func there(conn net.Conn) (open bool) {
	if t, ok := conn.(*tls.Conn); ok {
		conn = t.NetConn()
	}
	raw, err := conn.(*net.TCPConn).SyscallConn()
	if err != nil {
		return false
	}
	raw.Read(func(fd uintptr) bool {
		n, _, err := syscall.Recvfrom(int(fd), make([]byte, 1), syscall.MSG_PEEK|syscall.MSG_DONTWAIT)
		open = n > 0 || err == syscall.EAGAIN
		return true
	})
	return open
}

// exchangeOnce sends a GET, or a POST of a body, and reports whether the
// connection is over after the answer.
func exchangeOnce(conn net.Conn, r *bufio.Reader, host, body string) (closes bool, err error) {
	conn.SetDeadline(time.Now().Add(patience))
	line, want := "GET /", page
	if body != "" {
		line, want = "POST /upload", received(body)
	}
	request := fmt.Sprintf("%s HTTP/1.1\r\nHost: %s\r\nContent-Length: %d\r\n\r\n%s", line, host, len(body), body)
	if _, err := io.WriteString(conn, request); err != nil {
		return true, fmt.Errorf("sending: %w", err)
	}
	response, err := http.ReadResponse(r, nil)
	if err != nil {
		return true, fmt.Errorf("no answer: %w", err)
	}
	defer response.Body.Close()
	got, err := io.ReadAll(response.Body)
	switch {
	case err != nil:
		return true, fmt.Errorf("the answer breaks off: %w", err)
	case response.StatusCode != http.StatusOK:
		return response.Close, errors.New(response.Status)
	case string(got) != want:
		return response.Close, fmt.Errorf("a wrong answer of %d bytes", len(got))
	}
	return response.Close, nil
}

// overQUIC sends requests one after the other on one HTTP/3 connection.
func (s *strict) overQUIC(client *http.Client, host string) {
	s.done.Go(func() {
		defer client.Transport.(io.Closer).Close()
		for s.wait() {
			begun := time.Now()
			body, err := fetch(client, "https://"+host+"/")
			if err == nil && body != page {
				err = fmt.Errorf("a wrong answer of %d bytes", len(body))
			}
			s.tally.add(outcome{"HTTP/3 GET", begun, time.Since(begun), err})
		}
	})
}

// webSocket opens one socket after the other; each has frames echoed until it
// is told to go.
func (s *strict) webSocket(kind, host string) {
	s.done.Go(func() {
		for s.wait() {
			begun := time.Now()
			conn, r, err := s.open(host)
			s.tally.add(outcome{kind + " opened", begun, time.Since(begun), err})
			if err != nil {
				continue
			}
			s.converse(kind, conn, r)
			conn.Close()
		}
	})
}

func (s *strict) open(host string) (net.Conn, *bufio.Reader, error) {
	conn, err := s.dial()
	if err != nil {
		return nil, nil, err
	}
	conn.SetDeadline(time.Now().Add(patience))
	fmt.Fprintf(conn, "GET /echo HTTP/1.1\r\nHost: %s\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n", host)
	r := bufio.NewReader(conn)
	response, err := http.ReadResponse(r, nil)
	if err == nil && response.StatusCode != http.StatusSwitchingProtocols {
		err = errors.New(response.Status)
	}
	if err != nil {
		conn.Close()
		return nil, nil, err
	}
	return conn, r, nil
}

// converse has frames echoed until the socket is told to go or the client
// leaves. An end without a Close frame is a loss, of a request that began with
// the socket.
func (s *strict) converse(kind string, conn net.Conn, r *bufio.Reader) {
	opened := time.Now()
	for n := 0; s.wait(); n++ {
		begun := time.Now()
		conn.SetDeadline(begun.Add(patience))
		said := fmt.Sprintf("frame %d", n)
		sent := writeFrame(conn, frame{1, true, []byte(said)})
		f, err := readFrame(r)
		switch {
		case err != nil:
			s.tally.add(outcome{kind + " echo", opened, time.Since(opened), fmt.Errorf("the socket ends without a Close frame: %w", errors.Join(sent, err))})
			return
		case f.opcode == 8:
			if len(f.payload) < 2 || binary.BigEndian.Uint16(f.payload) != 1001 {
				s.tally.add(outcome{kind + " echo", begun, time.Since(begun), fmt.Errorf("the socket is closed with %q", f.payload)})
			}
			writeFrame(conn, frame{8, true, f.payload})
			return
		case string(f.payload) != said:
			err = fmt.Errorf("%q came back for %q", f.payload, said)
		}
		s.tally.add(outcome{kind + " echo", begun, time.Since(begun), err})
	}
}

// dialers of a daemon's two ports.

func (d *daemon) dialPlain() (net.Conn, error) { return net.Dial("tcp", d.address()) }

func (d *daemon) dialSecure(name string) func() (net.Conn, error) {
	address := fmt.Sprintf("127.0.0.1:%d", d.https)
	return func() (net.Conn, error) {
		conn, err := tls.DialWithDialer(&net.Dialer{Timeout: patience}, "tcp", address, &tls.Config{
			ServerName: name, InsecureSkipVerify: true, NextProtos: []string{"http/1.1"},
		})
		if err != nil {
			return nil, err // not a Conn that holds nil
		}
		return conn, nil
	}
}

// refusal reports whether an error says that nobody listened.
func refusal(err error) bool {
	return err != nil && strings.Contains(err.Error(), "connection refused")
}
