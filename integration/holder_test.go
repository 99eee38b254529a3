//go:build linux

package integration

import (
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// A worker that is killed under load costs the requests that it had, and no
// other: connections that come in meanwhile are not refused, but wait.
func TestKilledWorkersCostWhatTheyHad(t *testing.T) {
	const kills = 5
	d := startHeld(t)
	a := startApp(t, "a")
	d.must("deploy", "web", "--target", a.target())

	var (
		mu       sync.Mutex
		failures []outcome
		served   int
		slowest  time.Duration
		crashes  []kill
		stop     = make(chan struct{})
		load     sync.WaitGroup
	)
	for i := range 8 {
		load.Go(func() {
			transport := &http.Transport{DisableKeepAlives: i%2 == 0}
			defer transport.CloseIdleConnections()
			client := http.Client{Transport: transport, Timeout: patience}
			for {
				select {
				case <-stop:
					return
				case <-time.After(2 * time.Millisecond):
				}
				began := time.Now()
				response, err := client.Get(d.url("/"))
				if err == nil {
					var body []byte
					body, err = io.ReadAll(response.Body)
					response.Body.Close()
					if err == nil && string(body) != "a" {
						err = fmt.Errorf("%d %q", response.StatusCode, body)
					}
				}
				mu.Lock()
				if err != nil {
					failures = append(failures, outcome{"GET", began, time.Since(began), err})
				} else {
					served++
					slowest = max(slowest, time.Since(began))
				}
				mu.Unlock()
			}
		})
	}
	for i := range kills {
		crashes = append(crashes, d.crash())
		eventually(t, "another worker serves", func() error {
			if n := len(d.lineage()); n != i+2 {
				return fmt.Errorf("%d workers have served, want %d", n, i+2)
			}
			return nil
		})
		mu.Lock()
		before := served
		mu.Unlock()
		eventually(t, "requests are served", func() error {
			mu.Lock()
			defer mu.Unlock()
			if served < before+50 {
				return errors.New("not many")
			}
			return nil
		})
	}
	close(stop)
	load.Wait()
	for _, f := range failures {
		underWay := slices.ContainsFunc(crashes, func(k kill) bool { return f.during(k.from, k.to) })
		if errors.Is(f.err, syscall.ECONNREFUSED) || !underWay {
			t.Errorf("a request that was not under way at a kill failed: %v", f.err)
		}
	}
	if n := strings.Count(d.log.String(), "The worker crashed and is started again"); n != kills {
		t.Errorf("%d crashes are in the log, want %d", n, kills)
	}
	t.Logf("%d kills: %d requests served, %d failed that were under way, none refused; the slowest took %v", kills, served, len(failures), slowest)
}

// What a worker that is told to end has begun, it finishes.
func TestHolderEndsWithItsWorker(t *testing.T) {
	d := startHeld(t)
	a := startApp(t, "a")
	d.must("deploy", "web", "--target", a.target())
	slow := make(chan string)
	go func() {
		_, body := d.get("web.example", "/held")
		slow <- body
	}()
	eventually(t, "the request is under way", func() error {
		if a.served.Load() == 0 {
			return errors.New("it is not")
		}
		return nil
	})
	d.cmd.Process.Signal(syscall.SIGTERM)
	eventually(t, "the port is closed", func() error {
		conn, err := net.Dial("tcp", d.address())
		if err == nil {
			conn.Close()
			return errors.New("it is open")
		}
		return nil
	})
	select {
	case <-slow:
		t.Error("the port was open until the request under way had ended")
		return
	default:
	}
	a.release()
	if body := <-slow; body != "a" {
		t.Errorf("the request under way got %q, want a", body)
	}
	within(t, "the holder ends", d.exited)
	if code := d.cmd.ProcessState.ExitCode(); code != 0 {
		t.Errorf("it ended with code %d, want 0", code)
	}
	if _, err := os.Stat(filepath.Join(d.home, "kamal-proxy.sock")); err == nil {
		t.Error("the control socket is left")
	}
}

// Nobody has to kill what starts again and again, or not yet.
func TestHolderEndsWithoutAWorker(t *testing.T) {
	d := startHeld(t)
	for range 4 { // the last one is not waited for
		d.crash()
	}
	d.cmd.Process.Signal(syscall.SIGTERM)
	within(t, "the holder ends, because nothing is under way", d.exited)
}

// Without the holder there is no worker: ports and socket are free.
func TestNoWorkerOutlivesItsHolder(t *testing.T) {
	d := startHeld(t)
	worker := d.worker()
	d.kill()
	awaitEnd(t, worker)
	if l, err := net.Listen("tcp", d.address()); err != nil {
		t.Errorf("the port is not free: %v", err)
	} else {
		l.Close()
	}
	d.start()
}

// What can not be right from the start is told, and not tried again.
func TestHolderTellsWhyThereIsNoWorker(t *testing.T) {
	needNamespaces(t)
	busy, err := net.Listen("tcp", ":0")
	if err != nil {
		t.Fatal(err)
	}
	defer busy.Close()
	for _, c := range []struct {
		args []string
		want string
	}{
		{[]string{"run", "--no-such-flag"}, "no-such-flag"},
		{[]string{"run", "--https-port", "0", "--http-port", strconv.Itoa(busy.Addr().(*net.TCPAddr).Port)}, "in use by another program"},
	} {
		cmd := exec.Command(program, c.args...)
		cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "HOME=" + shortTempDir(t), "XDG_RUNTIME_DIR=" + shortTempDir(t)}
		cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
		held(cmd)
		out, err := cmd.CombinedOutput()
		if code := cmd.ProcessState.ExitCode(); code != 1 || !strings.Contains(string(out), c.want) {
			t.Errorf("%v: exit %d, %v, %q, want exit 1 and %q", c.args, code, err, out, c.want)
		}
	}
}

// Process number 1 waits for all that were left by their parents.
func TestHolderWaitsForOrphans(t *testing.T) {
	d := startHeld(t)
	worker := d.worker()
	inside := exec.Command("nsenter", "--pid", "--target", strconv.Itoa(worker), "sh", "-c", "(exec true) & (sleep 0.2; exec true) &")
	if out, err := inside.CombinedOutput(); err != nil {
		t.Skipf("NOT CHECKED: %v: %s", err, out)
	}
	eventually(t, "no zombie is left", func() error {
		for _, pid := range children(t, d.cmd.Process.Pid) {
			if pid != worker {
				return fmt.Errorf("process %d is there", pid)
			}
		}
		return nil
	})
}

// After an upgrade the new worker is the one whose end counts; the old one's
// does not.
func TestHolderFollowsAnUpgrade(t *testing.T) {
	d := startHeld(t)
	a := startApp(t, "a")
	d.must("deploy", "web", "--target", a.target())
	first := d.worker()
	d.upgrade()
	awaitEnd(t, first)
	second := d.worker()
	if second == first {
		t.Fatal("the worker is still the old one")
	}
	if strings.Contains(d.log.String(), "crashed") {
		t.Error("the end of the old worker counts as a crash")
	}
	d.crash()
	d.awaitSuccessor(2)
	if _, body := d.get("web.example", "/"); body != "a" {
		t.Errorf("got %q after a crash of the new worker, want a", body)
	}
	d.cmd.Process.Signal(syscall.SIGUSR2)
	d.awaitSuccessor(3)
	d.stop()
	if code := d.cmd.ProcessState.ExitCode(); code != 0 {
		t.Errorf("it ended with code %d, want 0", code)
	}
}

// An init that ends with the process that it started would take the successor
// along.
func TestNoUpgradeEndsTheContainer(t *testing.T) {
	needNamespaces(t)
	d := newDaemon(t)
	init := filepath.Join(d.home, "tini")
	if err := os.WriteFile(init, []byte("#!/bin/sh\ntrap 'kill $!; wait $!' TERM\n\"$@\" &\nwait $!\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	d.activate = heldBy(init)
	d.start()
	d.refused("process number 1 is tini", "upgrade")
	if status, _ := d.get("a.example", "/"); status != 404 {
		t.Errorf("got %d, want 404", status)
	}
}

// Process number 1 starts another worker at once, so the old ones need not hurry.
func TestOldWorkersFinishWhenTheNewOneCrashes(t *testing.T) {
	d := startHeld(t, "--shutdown-timeout", "200ms")
	a := startApp(t, "a", echoingSocket())
	d.must("deploy", "web", "--target", a.target())
	conn, r := upgrade(t, d, "websocket")
	d.upgrade()
	old := children(t, d.cmd.Process.Pid)
	for _, pid := range children(t, old[0]) { // the new one is the old one's
		syscall.Kill(pid, syscall.SIGKILL)
	}
	d.awaitSuccessor(2)
	for began := time.Now(); time.Since(began) < 600*time.Millisecond; <-time.After(50 * time.Millisecond) {
		echoes(t, conn, r, "still there")
	}
	conn.Close()
	d.worker()
}

// Whichever process dies in whatever moment of an upgrade: one worker serves
// afterwards, and one alone.
func TestKillStormDuringUpgrades(t *testing.T) {
	rounds := 5 // without a good run in between, so the waits double
	if long() {
		rounds = 20
	}
	d := startHeld(t)
	a := startApp(t, "a")
	d.must("deploy", "web", "--target", a.target())
	for range rounds {
		d.worker()
		if long() {
			<-time.After(1100 * time.Millisecond)
		}
		upgraded := make(chan struct{})
		go func() {
			defer close(upgraded)
			d.run("upgrade")
		}()
		<-time.After(time.Duration(rand.IntN(60)) * time.Millisecond)
		d.killAny()
		<-upgraded
		if status, body := d.get("web.example", "/"); status != 200 || body != "a" {
			t.Fatalf("got %d, %q after a kill", status, body)
		}
	}
	d.worker()
	d.stop()
	if code := d.cmd.ProcessState.ExitCode(); code != 0 {
		t.Errorf("it ended with code %d, want 0", code)
	}
}

// killAny kills one of the processes that the holder has, be they its children
// or a worker's.
func (d *daemon) killAny() {
	pids := children(d.t, d.cmd.Process.Pid)
	for _, pid := range pids {
		pids = append(pids, children(d.t, pid)...)
	}
	if len(pids) > 0 {
		syscall.Kill(pids[rand.IntN(len(pids))], syscall.SIGKILL)
	}
}
