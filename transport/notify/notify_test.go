package notify

import (
	"context"
	"errors"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"kamal-proxy/transport/calm"
)

// patience is how long a test waits for what must happen.
const patience = 30 * time.Second

// manager is a fake one: it listens as systemd does.
type manager struct {
	t    testing.TB
	conn *net.UnixConn
}

func newManager(t testing.TB, name string) *manager {
	t.Helper()
	conn, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: name, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	t.Setenv(socketVariable, name)
	return &manager{t, conn}
}

// heard returns the lines of the next message, of none after the time is up.
func (m *manager) heard(within time.Duration) []string {
	m.t.Helper()
	m.conn.SetReadDeadline(time.Now().Add(within))
	packet := make([]byte, 4096)
	n, err := m.conn.Read(packet)
	if errors.Is(err, os.ErrDeadlineExceeded) {
		return nil
	}
	if err != nil {
		m.t.Fatal(err)
	}
	return strings.Split(string(packet[:n]), "\n")
}

func (m *manager) wants(lines ...string) {
	m.t.Helper()
	if got := m.heard(patience); !slices.Equal(got, lines) {
		m.t.Errorf("the manager heard %q, want %q", got, lines)
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func TestTheStoryOfAProcess(t *testing.T) {
	for _, name := range []string{filepath.Join(t.TempDir(), "notify"), "@kamal-proxy-test-" + strconv.Itoa(os.Getpid())} {
		m, own := newManager(t, name), "MAINPID="+strconv.Itoa(os.Getpid())
		n := New()
		must(t, n.Ready("Serving\non 80"))
		m.wants("READY=1", own, "STATUS=Serving on 80")

		var before, after unix.Timespec
		must(t, unix.ClockGettime(unix.CLOCK_MONOTONIC, &before))
		must(t, n.Reloading("Upgrading"))
		must(t, unix.ClockGettime(unix.CLOCK_MONOTONIC, &after))
		got := m.heard(patience)
		if len(got) != 3 || got[0] != "RELOADING=1" || got[2] != "STATUS=Upgrading" {
			t.Fatalf("the manager heard %q, want RELOADING=1", got)
		}
		usec, err := strconv.ParseInt(strings.TrimPrefix(got[1], "MONOTONIC_USEC="), 10, 64)
		if err != nil || usec < before.Nano()/1000 || usec > after.Nano()/1000 {
			t.Errorf("%q is not the time now, which is from %d to %d", got[1], before.Nano()/1000, after.Nano()/1000)
		}

		must(t, n.Stopping("Ending"))
		m.wants("STOPPING=1", "STATUS=Ending")
	}
}

// After the hand-over an old process must not say that the service stops.
func TestAnOldProcessIsSilent(t *testing.T) {
	m := newManager(t, filepath.Join(t.TempDir(), "notify"))
	n := New()
	must(t, n.HandOver(4711, "Upgraded"))
	m.wants("MAINPID=4711", "READY=1", "STATUS=Upgraded")
	must(t, n.Stopping("Ending"))
	must(t, n.Ready("Serving"))
	if got := m.heard(50 * time.Millisecond); got != nil {
		t.Errorf("it said %q after it had handed over", got)
	}
}

func TestWithoutAManager(t *testing.T) {
	t.Setenv(socketVariable, "")
	n := New()
	must(t, n.Ready("Serving"))
	n.Watch(t.Context(), func(context.Context) error { t.Error("asked for nobody"); return nil }, nil)
}

func TestAManagerThatIsNotThere(t *testing.T) {
	for path, want := range map[string]string{
		filepath.Join(t.TempDir(), "gone"): "NOTIFY_SOCKET",
		"vsock:1:2":                        "absolute path",
	} {
		t.Setenv(socketVariable, path)
		if err := New().Ready("Serving"); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want an error with %q", path, err, want)
		}
	}
}

func TestTheWatchdogIsForTheProcessThatItNames(t *testing.T) {
	for _, c := range []struct {
		usec, pid string
		want      time.Duration
		left      string // for a successor
	}{
		{"2000000", strconv.Itoa(os.Getpid()), 2 * time.Second, "2000000"},
		{"2000000", "", 2 * time.Second, "2000000"},
		{"2000000", "1", 0, ""},
		{"", "", 0, ""},
		{"soon", "", 0, "soon"},
		{"-5", "", 0, "-5"},
		{"9223372036854775807", "", 0, "9223372036854775807"},
	} {
		t.Setenv(periodVariable, c.usec)
		t.Setenv(pidVariable, c.pid)
		if n := New(); n.watch != c.want {
			t.Errorf("WATCHDOG_USEC=%s, WATCHDOG_PID=%s: every %s, want %s", c.usec, c.pid, n.watch, c.want)
		}
		if left := os.Getenv(periodVariable); left != c.left || os.Getenv(pidVariable) != "" {
			t.Errorf("WATCHDOG_USEC=%s, WATCHDOG_PID=%s: a successor would read %q and %q", c.usec, c.pid, left, os.Getenv(pidVariable))
		}
	}
}

// The manager hears nothing from a program that does not answer, and again
// when it does.
func TestOnlyWhatAnswersIsAlive(t *testing.T) {
	calm.Try(t, func(t testing.TB, unit time.Duration) {
		m := newManager(t, filepath.Join(t.TempDir(), "notify"))
		n := &Notifier{path: os.Getenv(socketVariable), watch: 2 * unit}
		ctx, cancel := context.WithCancel(t.Context())
		question, complaint := make(chan chan error), make(chan error, 100)
		done := make(chan struct{})
		go func() {
			defer close(done)
			n.Watch(ctx, func(ctx context.Context) error {
				answer := make(chan error, 1)
				select {
				case question <- answer:
				case <-ctx.Done():
					return ctx.Err()
				}
				select {
				case err := <-answer:
					return err
				case <-ctx.Done():
					return ctx.Err()
				}
			}, func(err error) { complaint <- err })
		}()
		for range 2 {
			(<-question) <- nil
			m.wants("WATCHDOG=1")

			(<-question) <- errors.New("the port is deaf")
			if err := <-complaint; err == nil || err.Error() != "the port is deaf" {
				t.Errorf("complaint: %v, want that the port is deaf", err)
			}
			<-question // no answer
			if err := <-complaint; !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("complaint: %v, want that time is up", err)
			}
			if got := m.heard(time.Millisecond); got != nil {
				t.Errorf("a program that does not answer said %q", got)
			}
		}
		cancel()
		<-done
	})
}
