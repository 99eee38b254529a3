package control

import (
	"errors"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
)

func TestSocketPath(t *testing.T) {
	for _, test := range []struct {
		env  map[string]string
		want string
	}{
		{map[string]string{"KAMAL_PROXY_SOCKET": "/a/b", "XDG_RUNTIME_DIR": "/run", "TMPDIR": "/t"}, "/a/b"},
		{map[string]string{"XDG_RUNTIME_DIR": "/run", "TMPDIR": "/t"}, "/run/kamal-proxy.sock"},
		{map[string]string{"TMPDIR": "/t"}, "/t/kamal-proxy.sock"},
		{nil, "/tmp/kamal-proxy.sock"},
	} {
		if got := SocketPath(func(name string) string { return test.env[name] }); got != test.want {
			t.Errorf("%v: got %s", test.env, got)
		}
	}
}

func mustListen(t *testing.T, path string) net.Listener {
	t.Helper()
	l, err := Listen(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	return l
}

// leaveStale leaves a socket file that nobody answers on.
func leaveStale(t *testing.T, path string) {
	t.Helper()
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
	if err != nil {
		t.Fatal(err)
	}
	l.SetUnlinkOnClose(false)
	l.Close()
}

func TestSocketIsForItsUserUnderALooseUmask(t *testing.T) {
	defer syscall.Umask(syscall.Umask(0))
	dir := shortDir(t)
	path := filepath.Join(dir, "s")
	mustListen(t, path)
	file, err := os.Lstat(path)
	if err != nil || file.Mode() != fs.ModeSocket|0o600 {
		t.Errorf("got %v, %v", file.Mode(), err)
	}
	if left, _ := os.ReadDir(dir); len(left) != 1 {
		t.Errorf("beside the socket there is %v", left)
	}
}

func TestStaleSocketIsReplaced(t *testing.T) {
	path := filepath.Join(t.TempDir(), "s")
	leaveStale(t, path)
	l := mustListen(t, path)
	go func() {
		if conn, err := l.Accept(); err == nil {
			conn.Close()
		}
	}()
	dial(t, path)
}

func TestLiveSocketIsLeftAlone(t *testing.T) {
	path := filepath.Join(t.TempDir(), "s")
	mustListen(t, path)
	if _, err := Listen(path); err == nil || !strings.Contains(err.Error(), "another kamal-proxy is running") {
		t.Fatalf("got %v", err)
	}
	dial(t, path)
}

func TestFileThatIsNoSocketIsLeftAlone(t *testing.T) {
	dir := shortDir(t)
	for name, put := range map[string]func(path string) error{
		"file":    func(path string) error { return os.WriteFile(path, []byte("precious"), 0o644) },
		"folder":  func(path string) error { return os.Mkdir(path, 0o755) },
		"symlink": func(path string) error { return os.Symlink("/nowhere", path) },
	} {
		path := filepath.Join(dir, name)
		if err := put(path); err != nil {
			t.Fatal(err)
		}
		before, _ := os.Lstat(path)
		if _, err := Listen(path); err == nil || !strings.Contains(err.Error(), "not a socket") {
			t.Errorf("%s: got %v", name, err)
		}
		if after, err := os.Lstat(path); err != nil || !os.SameFile(before, after) {
			t.Errorf("%s: it is gone or another: %v", name, err)
		}
	}
}

func TestSocketOfAnotherIsNotRemoved(t *testing.T) {
	path := filepath.Join(t.TempDir(), "s")
	first := mustListen(t, path)
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	second := mustListen(t, path)
	first.Close()
	first.Close()
	if _, err := os.Lstat(path); err != nil {
		t.Errorf("the second daemon's socket: %v", err)
	}
	second.Close()
	if _, err := os.Lstat(path); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("its own socket is still there: %v", err)
	}
}

func TestOneOfManyDaemonsGetsTheSocket(t *testing.T) {
	for range 20 {
		path := filepath.Join(t.TempDir(), "s")
		leaveStale(t, path)
		var (
			racers    sync.WaitGroup
			mu        sync.Mutex
			listeners []net.Listener
		)
		for range 8 {
			racers.Go(func() {
				if l, err := Listen(path); err == nil {
					mu.Lock()
					listeners = append(listeners, l)
					mu.Unlock()
				}
			})
		}
		racers.Wait()
		if len(listeners) != 1 {
			t.Fatalf("%d daemons have the socket", len(listeners))
		}
		dial(t, path)
		listeners[0].Close()
	}
}

func TestSocketOfAFasterDaemonIsPutBack(t *testing.T) {
	for name, putInPlace := range map[string]func(dir, path string, stale os.FileInfo) error{
		"by moving it aside": func(dir, path string, stale os.FileInfo) error {
			return takeAway(path, filepath.Join(dir, "aside"), stale)
		},
		"by a trade": func(dir, path string, stale os.FileInfo) error {
			draft := filepath.Join(dir, "draft")
			mustListen(t, draft)
			placed, err := trade(draft, path, stale)
			if placed {
				t.Error("the faster daemon has lost its place")
			}
			if errors.Is(err, errors.ErrUnsupported) || errors.Is(err, syscall.EINVAL) {
				return nil
			}
			return err
		},
	} {
		t.Run(name, func(t *testing.T) { testFasterDaemon(t, putInPlace) })
	}
}

func testFasterDaemon(t *testing.T, putInPlace func(dir, path string, stale os.FileInfo) error) {
	dir := shortDir(t)
	path := filepath.Join(dir, "s")
	leaveStale(t, path)
	stale, err := os.Lstat(path)
	if err != nil {
		t.Fatal(err)
	}
	keep := filepath.Join(dir, "keep") // or its number may be used again
	if err := os.Rename(path, keep); err != nil {
		t.Fatal(err)
	}
	mustListen(t, path)
	if err := putInPlace(dir, path, stale); err != nil {
		t.Fatal(err)
	}
	dial(t, path)
}

func TestListenSaysWhatIsWrong(t *testing.T) {
	dir := shortDir(t)
	for path, want := range map[string]string{
		filepath.Join(dir, strings.Repeat("x", 120)): "set KAMAL_PROXY_SOCKET to a shorter one",
		filepath.Join(dir, "missing", "s"):           "set KAMAL_PROXY_SOCKET to another path",
	} {
		if _, err := Listen(path); err == nil || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), path) {
			t.Errorf("got %v, want %s", err, want)
		}
	}
}

// A socket that went to another process leaves its file to that one.
func TestASocketThatWasHandedOverIsRemovedByItsNewOwner(t *testing.T) {
	path := filepath.Join(t.TempDir(), "s")
	first, err := Listen(path)
	if err != nil {
		t.Fatal(err)
	}
	file, err := first.File()
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	l, err := net.FileListener(file)
	if err != nil {
		t.Fatal(err)
	}
	second := Adopt(l.(*net.UnixListener), path)

	first.SetUnlinkOnClose(false)
	first.Close()
	if conn, err := net.Dial("unix", path); err != nil {
		t.Errorf("after the first has closed it: %v", err)
	} else {
		conn.Close()
	}
	second.Close()
	if _, err := os.Lstat(path); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("after the second has closed it, the file: %v, want none", err)
	}
}
