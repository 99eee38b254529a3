//go:build linux

package holder

import (
	"crypto/rand"
	"fmt"
	"net"
	"os"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// notices is where workers say how they are: the NOTIFY_SOCKET that they get.
// Its name is abstract, so that it needs no folder; the kernel tells who speaks.
type notices struct {
	name    string
	conn    *net.UnixConn
	arrived chan notice
	marker  string
	closed  chan struct{}
}

// notice is a message of a process.
type notice struct {
	pid    int
	ready  bool
	main   int    // the process that serves from now on; 0: nothing said
	relay  string // what a manager of ours is to hear
	marker bool
}

func listenForNotices() (*notices, error) {
	n := &notices{name: "@kamal-proxy-" + rand.Text(), marker: "X_MARKER=" + rand.Text(), arrived: make(chan notice), closed: make(chan struct{})}
	conn, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: n.name, Net: "unixgram"})
	if err != nil {
		return nil, fmt.Errorf("unable to listen to workers: %w", err)
	}
	if err := askForCredentials(conn); err != nil {
		conn.Close()
		return nil, fmt.Errorf("unable to tell workers apart: %w", err)
	}
	n.conn = conn
	go n.read()
	return n, nil
}

func (n *notices) close() {
	close(n.closed)
	n.conn.Close()
}

// announce is the environment of a worker that speaks here.
func (n *notices) announce(env []string) []string {
	managed := false
	for _, entry := range env {
		managed = managed || strings.HasPrefix(entry, "NOTIFY_SOCKET=")
	}
	env = without(env, "NOTIFY_SOCKET")
	if !managed { // nobody wants to know
		env = without(env, "WATCHDOG_USEC")
	}
	return append(without(env, Variable), "NOTIFY_SOCKET="+n.name, Variable+"=1")
}

func (n *notices) read() {
	packet, control := make([]byte, 4096), make([]byte, 256)
	for {
		size, controls, _, _, err := n.conn.ReadMsgUnix(packet, control)
		if err != nil {
			return
		}
		who := sender(control[:controls])
		if who == nil || who.Pid == 0 || who.Uid != 0 && int(who.Uid) != os.Geteuid() {
			continue
		}
		message := parse(int(who.Pid), string(packet[:size]))
		message.marker = message.relay == n.marker && message.pid == os.Getpid()
		select {
		case n.arrived <- message:
		case <-n.closed:
			return
		}
	}
}

// settle gives all messages that were sent before it was called to noticed.
func (n *notices) settle(noticed func(notice)) {
	sent := make(chan error, 1)
	go func() { sent <- say(n.name, n.marker) }()
	for {
		select {
		case message := <-n.arrived:
			if message.marker {
				return
			}
			noticed(message)
		case err := <-sent:
			if err != nil {
				return
			}
		}
	}
}

func say(name, message string) error {
	conn, err := net.DialUnix("unixgram", nil, &net.UnixAddr{Name: name, Net: "unixgram"})
	if err != nil {
		return err
	}
	defer conn.Close()
	_, err = conn.Write([]byte(message))
	return err
}

// parse reads a message. MAINPID is left out of what a manager hears: the
// process that it manages is the holder.
func parse(pid int, text string) notice {
	n := notice{pid: pid}
	var relay []string
	for line := range strings.SplitSeq(text, "\n") {
		name, value, _ := strings.Cut(line, "=")
		switch name {
		case "MAINPID":
			n.main, _ = strconv.Atoi(value)
			continue
		case "READY":
			n.ready = value == "1"
		case "":
			continue
		}
		relay = append(relay, line)
	}
	n.relay = strings.Join(relay, "\n")
	return n
}

func askForCredentials(conn *net.UnixConn) error {
	raw, err := conn.SyscallConn()
	if err != nil {
		return err
	}
	var failed error
	err = raw.Control(func(fd uintptr) { failed = unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_PASSCRED, 1) })
	if err != nil {
		return err
	}
	return failed
}

func sender(control []byte) *unix.Ucred {
	messages, err := unix.ParseSocketControlMessage(control)
	if err != nil {
		return nil
	}
	for _, m := range messages {
		if who, err := unix.ParseUnixCredentials(&m); err == nil {
			return who
		}
	}
	return nil
}
