package control

import (
	"bytes"
	"context"
	"errors"
	"io"
	"io/fs"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/rs/zerolog"
)

func TestNobodyIsRunning(t *testing.T) {
	dir := shortDir(t)
	stale, file := filepath.Join(dir, "stale"), filepath.Join(dir, "file")
	leaveStale(t, stale)
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]string{
		filepath.Join(dir, "none"): "start it with `kamal-proxy run`",
		stale:                      "start it with `kamal-proxy run`",
		file:                       "is not a socket",
	} {
		err := NewClient(path).Resume(testContext(t), Resume{"shop"}, nil)
		if err == nil || !strings.HasPrefix(err.Error(), "kamal-proxy is not running") ||
			!strings.Contains(err.Error(), path) || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %v", path, err)
		}
	}
}

func TestPermissionDeniedNamesTheOwner(t *testing.T) {
	path := filepath.Join(shortDir(t), "s")
	mustListen(t, path)
	c := NewClient(path)
	denied := &net.OpError{Op: "dial", Err: &fs.PathError{Err: fs.ErrPermission}}
	if got := c.unreachable(context.Background(), denied).Error(); !strings.Contains(got, "uid ") || !strings.Contains(got, path) {
		t.Errorf("got %s", got)
	}
	c.path += "x"
	if got := c.unreachable(context.Background(), denied).Error(); !strings.Contains(got, "as root") {
		t.Errorf("got %s", got)
	}
}

// impostor answers each connection with what it is given, and hangs up.
func impostor(t *testing.T, says string) *Client {
	t.Helper()
	path := filepath.Join(shortDir(t), "s")
	l := mustListen(t, path)
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			buffer := make([]byte, 4096)
			conn.Read(buffer)
			io.WriteString(conn, says)
			conn.Close()
		}
	}()
	return NewClient(path)
}

func TestAnswersThatAreNone(t *testing.T) {
	const ok = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
	const ended, stranger = "ended before it had answered", "is no kamal-proxy, or another version"
	for says, want := range map[string]string{
		"": ended,
		ok: ended,
		ok + "1b\r\n{\"progress\":{\"stage\":\"x\"}}": ended,
		ok + "0\r\n\r\n":                                          ended,
		ok + "5\r\nhello\r\n0\r\n\r\n":                            stranger,
		"220 mail.example ESMTP\r\n":                              stranger,
		"HTTP/1.1 404 Not Found\r\nContent-Length: 4\r\n\r\nwhat": stranger,
	} {
		err := impostor(t, says).Stop(testContext(t), Stop{Service: "shop"}, nil)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: got %v", says, err)
		}
		if err != nil && strings.Contains(err.Error(), "\n") {
			t.Errorf("%q: more than a line: %v", says, err)
		}
	}
}

func TestStrangersAreHungUpOn(t *testing.T) {
	path := filepath.Join(shortDir(t), "s")
	l := mustListen(t, path)
	strangers := 2
	var log bytes.Buffer
	guard := &guarded{Listener: l, log: zerolog.New(&log), allowed: func(net.Conn) bool {
		strangers--
		return strangers < 0
	}}
	server := &http.Server{Handler: http.NotFoundHandler()}
	defer server.Close()
	go server.Serve(guard)

	c := NewClient(path)
	for range 2 {
		if err := c.Resume(testContext(t), Resume{"shop"}, nil); err == nil || !strings.Contains(err.Error(), "ended before") {
			t.Errorf("a stranger was told %v", err)
		}
	}
	if err := c.Resume(testContext(t), Resume{"shop"}, nil); err == nil || !strings.Contains(err.Error(), "404") {
		t.Errorf("after the strangers: %v", err)
	}
	if n := strings.Count(log.String(), "another user was closed"); n != 1 {
		t.Errorf("the log has %d lines about strangers of one minute: %s", n, &log)
	}
}

func TestOwnUserIsLetIn(t *testing.T) {
	path := filepath.Join(shortDir(t), "s")
	l := mustListen(t, path)
	dial(t, path)
	conn, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	uid, known := peerUser(conn.(*net.UnixConn))
	if known && uid != os.Getuid() {
		t.Errorf("the peer's user is %d", uid)
	}
	if !ownUserOrRoot(conn) {
		t.Error("it was not let in")
	}
	pipe, other := net.Pipe()
	defer other.Close()
	if ownUserOrRoot(pipe) {
		t.Error("a connection that is not local was let in")
	}
}

func TestWaitingCanBeGivenUp(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	_, err := NewClient(filepath.Join(shortDir(t), "s")).List(ctx)
	if !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
}
