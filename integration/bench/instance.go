package main

import (
	"bufio"
	"crypto/tls"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"sync/atomic"
	"syscall"
	"time"
)

// instance is a proxy that is ready to start, or runs.
type instance struct {
	spec   *spec
	cmd    *exec.Cmd
	out    *os.File
	pid    int
	http   string
	https  string
	setup  setup
	exited chan struct{}
	deploy func(service, host, target string) error // kamal-style only
}

func (in *instance) start() error {
	if in.cmd == nil { // direct
		return nil
	}
	var err error
	if in.out, err = os.Create(filepath.Join(in.setup.dir, "stdout.log")); err != nil {
		return err
	}
	errors, err := os.Create(filepath.Join(in.setup.dir, "stderr.log"))
	if err != nil {
		return err
	}
	defer errors.Close()
	in.cmd.Stdout, in.cmd.Stderr = in.out, errors
	in.cmd.Dir = in.setup.dir
	in.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGTERM}
	in.cmd.Env = append([]string{
		"PATH=" + os.Getenv("PATH"), "HOME=" + in.setup.dir,
		"XDG_RUNTIME_DIR=" + in.setup.dir, "XDG_CONFIG_HOME=" + in.setup.dir, "XDG_DATA_HOME=" + in.setup.dir,
	}, in.spec.env...)
	if err := in.cmd.Start(); err != nil {
		return err
	}
	in.pid = in.cmd.Process.Pid
	in.exited = make(chan struct{})
	go func() { in.cmd.Wait(); close(in.exited) }()
	return nil
}

func (in *instance) stop() {
	if in.cmd == nil || in.exited == nil {
		return
	}
	defer in.out.Close()
	pids := tree(in.pid)
	in.cmd.Process.Signal(syscall.SIGTERM)
	select {
	case <-in.exited:
	case <-time.After(5 * time.Second):
		for _, pid := range pids {
			syscall.Kill(pid, syscall.SIGKILL)
		}
		<-in.exited
	}
}

// ready deploys the services of a kamal-style proxy and waits until the proxy
// forwards a request for the last host.
func (in *instance) ready() error {
	addr, scheme := in.http, "http"
	if in.setup.tls {
		addr, scheme = in.https, "https"
	}
	deadline := time.Now().Add(30 * time.Second)
	if in.deploy != nil {
		for answers(in.http, "http", "none.local") == 0 {
			if err := in.pauseUntil(deadline, "does not listen"); err != nil {
				return err
			}
		}
		if !in.setup.deployed {
			for i, host := range in.setup.hosts {
				if err := in.deploy(fmt.Sprintf("svc%d", i), host, in.setup.upstream.Addr); err != nil {
					return err
				}
			}
		}
	}
	deadline = time.Now().Add(30 * time.Second)
	for _, host := range []string{in.setup.hosts[0], in.setup.hosts[len(in.setup.hosts)-1]} {
		for {
			status := answers(addr, scheme, host)
			if status == 200 {
				break
			}
			if err := in.pauseUntil(deadline, fmt.Sprintf("answers with status %d for %s", status, host)); err != nil {
				return err
			}
		}
	}
	return nil
}

func (in *instance) pauseUntil(deadline time.Time, what string) error {
	time.Sleep(10 * time.Millisecond)
	select {
	case <-in.exited:
		what = "has ended"
	default:
		if time.Now().Before(deadline) {
			return nil
		}
	}
	said, _ := os.ReadFile(filepath.Join(in.setup.dir, "stderr.log"))
	return fmt.Errorf("%s %s\n%s", in.spec.name, what, said[max(0, len(said)-2000):])
}

// answers returns the status of one GET, or 0.
func answers(addr, scheme, host string) int {
	c, err := net.DialTimeout("tcp", addr, time.Second)
	if err != nil {
		return 0
	}
	defer c.Close()
	c.SetDeadline(time.Now().Add(5 * time.Second))
	if scheme == "https" {
		c = tls.Client(c, &tls.Config{InsecureSkipVerify: true, ServerName: host})
	}
	if _, err := fmt.Fprintf(c, "GET /small HTTP/1.1\r\nHost: %s\r\nConnection: close\r\n\r\n", host); err != nil {
		return 0
	}
	resp, err := http.ReadResponse(bufio.NewReader(c), nil)
	if err != nil {
		return 0
	}
	resp.Body.Close()
	return resp.StatusCode
}

var lastPort atomic.Int32

// freePort returns a port below the range from which the kernel takes those
// of outgoing connections.
func freePort() int {
	lastPort.CompareAndSwap(0, int32(18000+os.Getpid()%4000))
	for {
		p := 16000 + int(lastPort.Add(1)-16000)%16000
		l, err := net.Listen("tcp", fmt.Sprintf(":%d", p))
		if err != nil {
			continue
		}
		l.Close()
		return p
	}
}
