package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"hash/fnv"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// readyWithin is how long a program of the demo may take to start.
const readyWithin = 15 * time.Second

// stage is everything that the demo has started.
type stage struct {
	home   string
	binary string
	port   int
	apps   map[string]string // address by version
	pids   []int
}

func newStage(home, binary string) (*stage, error) {
	if err := os.MkdirAll(home, 0o700); err != nil {
		return nil, fmt.Errorf("the demo cannot make its folder: %w", err)
	}
	port, err := freePort()
	return &stage{home: home, binary: binary, port: port, apps: map[string]string{}}, err
}

func (s *stage) url() string { return fmt.Sprintf("http://localhost:%d/", s.port) }

// environment points kamal-proxy to the demo's own state and socket. A socket's
// path may only be some 100 bytes long, so it stays in the temporary folder.
func (s *stage) environment() []string {
	return append(os.Environ(), "HOME="+s.home, "KAMAL_PROXY_SOCKET="+s.socket())
}

// socket is another one for each folder, so that demos run side by side.
func (s *stage) socket() string {
	sum := fnv.New32a()
	io.WriteString(sum, s.home)
	return filepath.Join(os.TempDir(), fmt.Sprintf("kamal-proxy-demo-%08x.sock", sum.Sum32()))
}

func (s *stage) startProxy() error {
	return s.start("kamal-proxy", s.command("run", "--http-port", strconv.Itoa(s.port), "--https-port", "0"), s.url())
}

func (s *stage) startApp(version string) error {
	port, err := freePort()
	if err != nil {
		return err
	}
	self, err := os.Executable()
	if err != nil {
		return err
	}
	address := net.JoinHostPort("localhost", strconv.Itoa(port))
	s.apps[version] = address
	return s.start("app-"+version, exec.Command(self, "app", version, address), "http://"+address+"/up")
}

// start runs a program that outlives the demo, with its output in a file, and
// returns when it answers at url.
func (s *stage) start(name string, cmd *exec.Cmd, url string) error {
	path := filepath.Join(s.home, name+".log")
	log, err := os.Create(path)
	if err != nil {
		return err
	}
	defer log.Close()
	cmd.Stdout, cmd.Stderr = log, log
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("unable to start %s: %w", name, err)
	}
	s.pids = append(s.pids, cmd.Process.Pid)
	ended := make(chan struct{})
	go func() {
		cmd.Wait()
		close(ended)
	}()
	if err := s.remember(); err != nil {
		return err
	}
	if err := ready(url, ended); err != nil {
		said, _ := os.ReadFile(path)
		return fmt.Errorf("%s did not get ready: %w\n%s", name, err, said)
	}
	return nil
}

// ready waits for an answer, for as long as the program has not ended.
func ready(url string, ended <-chan struct{}) error {
	deadline := time.After(readyWithin)
	for {
		response, err := http.Get(url)
		if err == nil {
			response.Body.Close()
			return nil
		}
		select {
		case <-ended:
			return errors.New("it has ended")
		case <-deadline:
			return err
		case <-time.After(20 * time.Millisecond):
		}
	}
}

func (s *stage) deploy(out io.Writer, version string) error {
	args := []string{"deploy", "web", "--target", s.apps[version]}
	fmt.Fprintf(out, "\n$ kamal-proxy %s\n", strings.Join(args, " "))
	cmd := s.command(args...)
	cmd.Stdout, cmd.Stderr = out, os.Stderr
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("the deploy of %s failed: %w", version, err)
	}
	return nil
}

// tell says how to go on.
func (s *stage) tell(out io.Writer) {
	fmt.Fprintf(out, `
It goes on running. Look at %[1]s, and try the commands:

  export KAMAL_PROXY_SOCKET=%[2]s
  bin/kamal-proxy list
  bin/kamal-proxy deploy web --target %[3]s
  bin/kamal-proxy stop web --message "Back at five"
  bin/kamal-proxy resume web

Logs are in .demo. To end it all: bin/demo stop
`, s.url(), s.socket(), s.apps["v1"])
}

// remember keeps the pids for the next run, which ends what this one started.
func (s *stage) remember() error {
	data, err := json.Marshal(s.pids)
	if err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(s.home, "pids.json"), data, 0o600)
}

func (s *stage) end() { endAll(s.pids) }

// stopPrevious ends what an earlier demo has left running, and forgets its
// state.
func stopPrevious(home string) error {
	data, err := os.ReadFile(filepath.Join(home, "pids.json"))
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("unable to see what an earlier demo started: %w", err)
	}
	var pids []int
	if err := json.Unmarshal(data, &pids); err == nil {
		endAll(pids)
	}
	return os.RemoveAll(home)
}

func freePort() (int, error) {
	l, err := net.Listen("tcp", "localhost:0")
	if err != nil {
		return 0, fmt.Errorf("no free port: %w", err)
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port, nil
}
