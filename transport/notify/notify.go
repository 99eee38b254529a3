// Package notify tells a service manager how the program is: systemd, or the
// holder of a container, by the protocol of sd_notify(3).
//
// One process speaks at a time. In an upgrade the old one says Reloading, and
// then HandOver when the new one serves; from then on it is silent, and the new
// one says Ready, Stopping and that it is alive. An upgrade that failed ends
// with another Ready of the old one.
package notify

import (
	"errors"
	"fmt"
	"net"
	"os"
	"strconv"
	"strings"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

const (
	socketVariable = "NOTIFY_SOCKET"
	periodVariable = "WATCHDOG_USEC"
	pidVariable    = "WATCHDOG_PID"

	sendTimeout = time.Second
	maxStatus   = 1000 // bytes
)

// Notifier is the way to a manager; without one it does nothing. The zero
// value has none. Its methods may be called from any goroutine.
type Notifier struct {
	path  string
	watch time.Duration // how often the manager wants to hear; 0: never

	mu     sync.Mutex
	silent bool
}

// New returns the way to the manager that the environment names. It leaves
// there what a successor of this process needs.
func New() *Notifier {
	n := &Notifier{path: os.Getenv(socketVariable)}
	pid := os.Getenv(pidVariable)
	os.Unsetenv(pidVariable)
	if pid != "" && pid != strconv.Itoa(os.Getpid()) {
		os.Unsetenv(periodVariable)
		return n
	}
	if usec, err := strconv.ParseInt(os.Getenv(periodVariable), 10, 64); err == nil && usec > 0 && usec < int64(time.Hour*24*365/time.Microsecond) {
		n.watch = time.Duration(usec) * time.Microsecond
	}
	return n
}

// Ready says that this process serves, and is the one to watch.
func (n *Notifier) Ready(status string) error {
	return n.tell("READY=1", "MAINPID="+strconv.Itoa(os.Getpid()), line(status))
}

// Reloading says that an upgrade has begun.
func (n *Notifier) Reloading(status string) error {
	var now unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_MONOTONIC, &now); err != nil {
		return fmt.Errorf("unable to read the clock: %w", err)
	}
	return n.tell("RELOADING=1", "MONOTONIC_USEC="+strconv.FormatInt(now.Nano()/1000, 10), line(status))
}

// HandOver says that another process serves now and is the one to watch. It is
// the last that this one says.
func (n *Notifier) HandOver(successor int, status string) error {
	err := n.tell("MAINPID="+strconv.Itoa(successor), "READY=1", line(status))
	n.mu.Lock()
	defer n.mu.Unlock()
	n.silent = true
	return err
}

// Stopping says that this process is about to end.
func (n *Notifier) Stopping(status string) error {
	return n.tell("STOPPING=1", line(status))
}

// Relay passes a message on as it is.
func (n *Notifier) Relay(message string) error { return n.tell(message) }

func line(status string) string {
	return "STATUS=" + strings.Map(func(r rune) rune {
		if r < ' ' {
			return ' '
		}
		return r
	}, status[:min(len(status), maxStatus)])
}

func (n *Notifier) tell(lines ...string) error {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.path == "" || n.silent {
		return nil
	}
	if err := send(n.path, strings.Join(lines, "\n")); err != nil {
		return fmt.Errorf("unable to tell the service manager at %s (NOTIFY_SOCKET) %q: %w", n.path, lines[0], err)
	}
	return nil
}

func send(path, message string) error {
	if path[0] != '/' && path[0] != '@' {
		return errors.New("it has to be an absolute path, or a name that begins with @")
	}
	conn, err := net.DialUnix("unixgram", nil, &net.UnixAddr{Name: path, Net: "unixgram"})
	if err != nil {
		return err
	}
	defer conn.Close()
	conn.SetWriteDeadline(time.Now().Add(sendTimeout))
	_, err = conn.Write([]byte(message))
	return err
}
