//go:build linux

package holder

import (
	"bytes"
	"fmt"
	"net"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/rs/zerolog"
	"golang.org/x/sys/unix"

	"kamal-proxy/transport/calm"
	"kamal-proxy/transport/notify"
)

// patience is how long a test waits for what must happen.
const patience = 30 * time.Second

// TestMain is also the worker of the tests below: it takes the steps that the
// environment gives for this start of it.
func TestMain(m *testing.M) {
	steps := os.Getenv("STEPS")
	if steps == "" {
		// Orphans come to this process, as to process number 1.
		if err := unix.Prctl(unix.PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0); err != nil {
			panic(err)
		}
		os.Exit(m.Run())
	}
	if starts := strings.Split(steps, ","); !strings.HasPrefix(steps, "heir:") {
		n := noteStart()
		steps = starts[min(n, len(starts)-1)]
	}
	time.AfterFunc(2*patience, func() { os.Exit(98) }) // when its test has failed
	for step := range strings.SplitSeq(strings.TrimPrefix(steps, "heir:"), "+") {
		take(step)
	}
}

// noteStart returns how often a worker was started before.
func noteStart() int {
	file, err := os.OpenFile(os.Getenv("STARTS"), os.O_APPEND|os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		panic(err)
	}
	fmt.Fprintln(file, os.Getpid())
	data, _ := os.ReadFile(os.Getenv("STARTS"))
	return bytes.Count(data, []byte("\n")) - 1
}

var (
	heir *exec.Cmd
	told = make(chan os.Signal, 1)
)

func take(step string) {
	verb, value, _ := strings.Cut(step, ":")
	manager := notify.New()
	var err error
	switch verb {
	case "ready":
		err = manager.Ready("Serving")
	case "exit":
		code, _ := strconv.Atoi(value)
		os.Exit(code)
	case "wait":
		select {}
	case "listen":
		signal.Notify(told, syscall.SIGTERM)
	case "last": // until TERM, and then some
		<-told
		time.Sleep(100 * time.Millisecond) // what it had begun
	case "deaf":
		signal.Ignore(syscall.SIGTERM)
	case "die":
		syscall.Kill(os.Getpid(), syscall.SIGKILL)
		select {}
	case "start": // an heir, which takes steps of its own
		heir = exec.Command("/proc/self/exe")
		heir.Env = append(without(os.Environ(), "STEPS"), "STEPS=heir:"+os.Getenv(value))
		heir.Stderr = os.Stderr
		err = heir.Start()
	case "name":
		err = manager.HandOver(heir.Process.Pid, "Serving")
	case "mark":
		mark := os.Getenv("MARK")
		if err = os.WriteFile(mark+".new", []byte(os.Getenv("WATCHDOG_USEC")), 0o600); err == nil {
			err = os.Rename(mark+".new", mark) // whoever sees it sees all of it
		}
	case "done":
		err = os.WriteFile(os.Getenv("MARK")+".done", nil, 0o600)
	case "marked":
		for {
			if _, err := os.Stat(os.Getenv("MARK")); err == nil {
				break
			}
			time.Sleep(time.Millisecond)
		}
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(99)
	}
}

// trial is a holder whose workers take steps.
type trial struct {
	t       testing.TB
	dir     string
	signals chan os.Signal
	log     *logged
	end     chan int
}

type logged struct {
	mu   sync.Mutex
	data bytes.Buffer
}

func (l *logged) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.data.Write(p)
}

func (l *logged) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.data.String()
}

func begin(t testing.TB, steps string) *trial {
	t.Helper()
	tr := &trial{t: t, dir: t.TempDir(), signals: make(chan os.Signal, 64), log: &logged{}, end: make(chan int, 1)}
	for name, value := range map[string]string{
		"STEPS": steps, "STARTS": filepath.Join(tr.dir, "starts"), "MARK": filepath.Join(tr.dir, "mark"), "GORACE": "atexit_sleep_ms=0",
	} {
		t.Setenv(name, value)
	}
	signal.Notify(tr.signals, syscall.SIGCHLD)
	grace := patience
	if strings.Contains(steps, "deaf") {
		grace = 300 * time.Millisecond
	}
	go func() {
		defer signal.Stop(tr.signals)
		code, err := Run(Config{
			Program: "/proc/self/exe", Args: os.Args[:1], Grace: grace,
			Sockets: Sockets{ClosePorts: func() {}}, Manager: notify.New(), Log: zerolog.New(tr.log), signals: tr.signals,
		})
		if err != nil {
			t.Errorf("it did not start: %v", err)
		}
		tr.end <- code
	}()
	return tr
}

// ends waits for the holder's end.
func (tr *trial) ends(code int) {
	tr.t.Helper()
	select {
	case got := <-tr.end:
		if got != code {
			tr.t.Errorf("it ended with code %d, want %d; its log:\n%s", got, code, tr.log)
		}
	case <-time.After(patience):
		tr.t.Fatalf("it does not end; its log:\n%s", tr.log)
	}
}

// until waits for something in the log.
func (tr *trial) until(text string, times int) {
	tr.t.Helper()
	for deadline := time.Now().Add(patience); strings.Count(tr.log.String(), text) < times; <-time.After(time.Millisecond) {
		if time.Now().After(deadline) {
			tr.t.Fatalf("%q is not %d times in the log:\n%s", text, times, tr.log)
		}
	}
}

func (tr *trial) started(times int) {
	tr.t.Helper()
	data, _ := os.ReadFile(filepath.Join(tr.dir, "starts"))
	if got := bytes.Count(data, []byte("\n")); got != times {
		tr.t.Errorf("%d workers were started, want %d; the log:\n%s", got, times, tr.log)
	}
}

// awaitMark waits until a worker has taken the step "mark".
func (tr *trial) awaitMark() (watchdog string) {
	tr.t.Helper()
	for deadline := time.Now().Add(patience); ; <-time.After(time.Millisecond) {
		data, err := os.ReadFile(filepath.Join(tr.dir, "mark"))
		if err == nil {
			return string(data)
		}
		if time.Now().After(deadline) {
			tr.t.Fatalf("no worker has come to its mark; the log:\n%s", tr.log)
		}
	}
}

const crashed = "crashed and is started again"

func TestAWorkerThatWasNeverReadyIsNotTriedAgain(t *testing.T) {
	tr := begin(t, "exit:3")
	tr.ends(3)
	tr.started(1)
}

func TestAWorkerThatCrashesIsStartedAgain(t *testing.T) {
	tr := begin(t, "ready+exit:1,ready+die,exit:7,ready+exit:0")
	tr.ends(0)
	tr.started(4)
	for _, reason := range []string{"exit code 1", "signal: killed", "exit code 7"} {
		tr.until(reason, 1)
	}
}

func TestTheCodeIsTheWorkers(t *testing.T) {
	for steps, c := range map[string]struct {
		signal syscall.Signal
		code   int
	}{
		"ready+mark+wait":        {syscall.SIGHUP, 129},
		"mark+wait":              {syscall.SIGTERM, 143},
		"ready+listen+mark+last": {syscall.SIGTERM, 0},
		"ready+deaf+mark+wait":   {syscall.SIGTERM, 137},
	} {
		t.Run(steps, func(t *testing.T) {
			tr := begin(t, steps)
			tr.awaitMark()
			tr.signals <- c.signal
			tr.ends(c.code)
			tr.started(1)
		})
	}
}

func TestTheEndDoesNotWaitForANewWorker(t *testing.T) {
	calm.Try(t, func(t testing.TB, _ time.Duration) {
		tr := begin(t, "ready+die")
		tr.until(crashed, 3) // the next one is started after 200 ms
		tr.signals <- syscall.SIGTERM
		tr.ends(0)
	})
}

// The old one's end is none of the worker's; and a TERM goes to both.
func TestASuccessorIsTheWorker(t *testing.T) {
	t.Setenv("HEIR", "ready+listen+mark+last")
	tr := begin(t, "ready+start:HEIR+marked+name+exit:1")
	tr.until("Worker replaced", 1)
	tr.awaitMark()
	tr.signals <- syscall.SIGTERM
	tr.ends(0)
	tr.started(1)
}

// What an elder has begun it finishes, also when all are told to end.
func TestAnElderIsWaitedFor(t *testing.T) {
	t.Setenv("HEIR", "ready+listen+mark+last")
	tr := begin(t, "ready+start:HEIR+marked+listen+name+last+done")
	tr.until("Worker replaced", 1)
	tr.signals <- syscall.SIGTERM
	tr.ends(0)
	if _, err := os.Stat(filepath.Join(tr.dir, "mark.done")); err != nil {
		t.Errorf("the elder was not told to end, or not waited for: %v", err)
	}
}

// Whoever dies before it could name the one that serves in its place does not
// make two of them.
func TestASuccessorThatWasNotNamedIsFound(t *testing.T) {
	t.Setenv("HEIR", "ready+listen+mark+last")
	tr := begin(t, "ready+start:HEIR+marked+die")
	tr.until("Worker replaced", 1)
	tr.signals <- syscall.SIGTERM
	tr.ends(0)
	tr.started(1)
}

// The parent of the worker, still there for what it has begun, does not tell of
// the worker's end.
func TestASuccessorThatCrashesIsStartedAgain(t *testing.T) {
	t.Setenv("HEIR", "ready+mark+die")
	tr := begin(t, "ready+start:HEIR+marked+listen+name+last,listen+ready+last")
	tr.until(crashed, 1)
	for deadline := time.Now().Add(patience); ; <-time.After(time.Millisecond) {
		if data, _ := os.ReadFile(filepath.Join(tr.dir, "starts")); bytes.Count(data, []byte("\n")) == 2 {
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("no worker was started; the log:\n%s", tr.log)
		}
	}
	tr.signals <- syscall.SIGTERM
	select {
	case <-tr.end: // the second one may have been too young for a code of 0
	case <-time.After(patience):
		t.Fatal("it does not end")
	}
}

// Behind a real manager, the holder is what that manages.
func TestAManagerHearsTheWorker(t *testing.T) {
	path := filepath.Join(t.TempDir(), "notify")
	conn, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: path, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	for _, managed := range []bool{true, false} {
		t.Setenv("WATCHDOG_USEC", "1234567")
		want := ""
		if managed {
			t.Setenv("NOTIFY_SOCKET", path)
			want = "1234567"
		} else {
			t.Setenv("NOTIFY_SOCKET", "")
			os.Unsetenv("NOTIFY_SOCKET")
		}
		tr := begin(t, "ready+mark+exit:0")
		if got := tr.awaitMark(); got != want {
			t.Errorf("managed %t: the worker's WATCHDOG_USEC is %q, want %q", managed, got, want)
		}
		tr.ends(0)
	}
	packet := make([]byte, 1000)
	conn.SetReadDeadline(time.Now().Add(patience))
	n, err := conn.Read(packet)
	if got := strings.Split(string(packet[:n]), "\n"); err != nil || !slices.Equal(got, []string{"READY=1", "STATUS=Serving"}) {
		t.Errorf("the manager heard %q, %v, want READY and a status alone", got, err)
	}
}

func TestBackOff(t *testing.T) {
	var b backOff
	var waits []time.Duration
	for range 9 {
		waits = append(waits, b.next())
		b.served(goodRun / 2)
	}
	if waits[0] != leastDelay || waits[1] != 2*leastDelay || waits[8] != mostDelay {
		t.Errorf("the waits are %v, want them to double from %v to %v", waits, leastDelay, mostDelay)
	}
	b.served(goodRun)
	if got := b.next(); got != leastDelay {
		t.Errorf("after a good run the wait is %v, want %v", got, leastDelay)
	}
}
