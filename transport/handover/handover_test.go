package handover

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"

	"kamal-proxy/actors/spec"
	"kamal-proxy/transport/calm"
)

// TestMain is also the successor of the tests below.
func TestMain(m *testing.M) {
	if role := os.Getenv("SUCCESSOR"); role != "" {
		roles[role]()
		os.Exit(0)
	}
	goleak.VerifyTestMain(m)
}

// patience is how long anything that must happen may take.
const patience = 30 * time.Second

var roles = map[string]func(){
	"good": func() {
		p, state := mustJoin()
		p.Line().WriteString("along the line")
		fmt.Fprintln(os.Stderr, "early words")
		if _, inherited := os.LookupEnv(Variable); inherited {
			panic("my children would join, too")
		}
		must(p.Ready(context.Background(), fmt.Sprintf("after %s with %d", state.Version, len(state.Records))))
		fmt.Fprintln(os.Stderr, "late words")
		done := make(chan struct{})
		p.Follow(Following{Service: "web", What: "pause", Record: state.Records[0], DrainTimeout: time.Second}, func() { close(done) })
		<-done
		p.End()
		<-p.Gone()
	},
	"fails": func() {
		p, _ := mustJoin()
		p.Fail(errors.New("port 80 is taken\nby somebody"))
		fmt.Fprintln(os.Stderr, "Error: another text")
		os.Exit(1)
	},
	"says":   func() { fmt.Fprint(os.Stderr, "first\nError: no such flag\n\n"); os.Exit(2) },
	"silent": func() { os.Exit(3) },
	"floods": func() { fmt.Fprint(os.Stderr, strings.Repeat("x", 100_000)+"\nthe end"); os.Exit(1) },
	"killed": func() { syscall.Kill(os.Getpid(), syscall.SIGKILL); select {} },
	"hangs":  func() { time.Sleep(time.Hour) },
	"leaves": func() { p, _ := mustJoin(); p.pair.close(); time.Sleep(time.Hour) },
	"orphan": func() { // its predecessor never lets it proceed
		p, _ := mustJoin()
		if p.Ready(context.Background(), "x") == nil {
			panic("it may proceed")
		}
		os.WriteFile(os.Getenv("NOTE"), []byte("gave up"), 0o600)
	},
}

func mustJoin() (*Predecessor, State) {
	p, err := Join()
	must(err)
	state, err := p.State(context.Background())
	must(err)
	return p, state
}

func must(err error) {
	if err != nil {
		panic(err)
	}
}

// succession starts this test program in a role.
func succession(role string, env ...string) Succession {
	return Succession{
		Binary: os.Args[0],
		Env:    append(os.Environ(), append(env, "SUCCESSOR="+role)...),
		State:  State{Version: "1.0", Records: []*spec.Record{record("web")}},
		Pass:   func(*exec.Cmd) (func(), error) { return func() {}, nil },
	}
}

func record(name string) *spec.Record {
	r := &spec.Record{Name: name, Options: spec.DefaultOptions(), TargetOptions: spec.DefaultTargetOptions(), ActiveTargets: []string{"a:80"}}
	r.Options.Hosts = []string{"a.example"}
	return r
}

func same(a, b *spec.Record) bool { return bytes.Equal(a.AppendJSON(nil), b.AppendJSON(nil)) }

func within[T any](t testing.TB, what string, c <-chan T) (got T) {
	t.Helper()
	select {
	case got = <-c:
	case <-time.After(patience):
		t.Fatalf("%s: it does not happen", what)
	}
	return got
}

// redirectStderr returns what is written to the standard error until it is
// called.
func redirectStderr(t testing.TB) (said func() string) {
	t.Helper()
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	was := os.Stderr
	os.Stderr = w
	all := make(chan string, 1)
	go func() {
		b, _ := io.ReadAll(r)
		r.Close()
		all <- string(b)
	}()
	return func() string {
		os.Stderr = was
		w.Close()
		return within(t, "the end of stderr", all)
	}
}

func TestSuccessorTakesOver(t *testing.T) {
	said := redirectStderr(t)
	followed, ended := make(chan Following, 1), make(chan struct{})
	along, line, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer along.Close()
	s := succession("good")
	s.Line = line
	s.Follow = func(f Following, done func()) { followed <- f; done() }
	s.End = func() { close(ended) }
	n, err := s.Start(t.Context())
	if err != nil {
		said()
		t.Fatal(err)
	}
	if n.Version != "after 1.0 with 1" || n.PID() <= 1 {
		t.Errorf("the successor is version %q, process %d", n.Version, n.PID())
	}
	n.Proceed()
	f := within(t, "Follow", followed)
	if want := s.State.Records[0]; f.Service != "web" || f.What != "pause" || f.DrainTimeout != time.Second || !same(f.Record, want) {
		t.Errorf("it follows %+v, want a pause of %+v", f, want)
	}
	within(t, "End", ended)
	n.pair.close()
	within(t, "its end", n.exited)
	if got, err := io.ReadAll(along); string(got) != "along the line" {
		t.Errorf("the line said %q, %v", got, err)
	}
	n.errors.wait(patience) // the early words take a detour
	if got := said(); got != "early words\nlate words\n" && got != "late words\nearly words\n" {
		t.Errorf("it said %q", got)
	}
}

func TestSuccessorThatIsNotReadySaysWhy(t *testing.T) {
	for role, want := range map[string]string{
		"fails":  "port 80 is taken\nby somebody",
		"says":   "ended (exit status 2) before it was ready and said: no such flag",
		"silent": "ended (exit status 3) before it was ready and said nothing: is it a kamal-proxy?",
		"floods": "ended (exit status 1) before it was ready and said: the end",
		"killed": "ended (signal: killed) before it was ready",
		"hangs":  "was not ready after 1s",
		"leaves": "does not know how to take over",
	} {
		t.Run(role, func(t *testing.T) {
			calm.Try(t, func(t testing.TB, _ time.Duration) {
				said := redirectStderr(t)
				s := succession(role)
				s.StartTimeout = patience
				if role == "hangs" {
					s.StartTimeout = time.Second
				}
				_, err := s.Start(t.Context())
				said()
				if err == nil || !strings.Contains(err.Error(), want) {
					t.Errorf("got %v, want %s", err, want)
				}
			})
		})
	}
	t.Run("not there", func(t *testing.T) {
		s := succession("good")
		s.Binary = "/no/such/program"
		if _, err := s.Start(t.Context()); err == nil || err.Error() != "unable to start /no/such/program: it, or the interpreter or loader that it names, is not there" {
			t.Errorf("got %v", err)
		}
	})
	t.Run("no longer wanted", func(t *testing.T) {
		ctx, cancel := context.WithCancelCause(t.Context())
		cancel(errors.New("the end is near"))
		if _, err := succession("hangs").Start(ctx); err == nil || err.Error() != "the end is near" {
			t.Errorf("got %v", err)
		}
	})
}

// A successor whose predecessor ends before Proceed owns nothing.
func TestSuccessorGivesUpWithItsPredecessor(t *testing.T) {
	note := t.TempDir() + "/note"
	n, err := succession("orphan", "NOTE="+note).Start(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	n.pair.close()
	within(t, "its end", n.exited)
	if text, err := os.ReadFile(note); string(text) != "gave up" {
		t.Errorf("it said %q, %v", text, err)
	}
}

func TestJoinRefusesWhatItWasNotGiven(t *testing.T) {
	if p, err := Join(); p != nil || err != nil {
		t.Errorf("without a predecessor: %v, %v", p, err)
	}
	for _, value := range []string{"", "x", "3", "0,1", "3,", "999,998"} {
		t.Setenv(Variable, value)
		if p, err := Join(); p != nil || err == nil || !strings.Contains(err.Error(), "unset it") {
			t.Errorf("%q: %v, %v", value, p, err)
		}
		if _, there := os.LookupEnv(Variable); there {
			t.Errorf("%q is still in the environment", value)
		}
	}
}

// both are the two ends of a pair in one process.
func both(t *testing.T, s Succession) (*Successor, *Predecessor) {
	t.Helper()
	ours, theirs, err := newSocketPair()
	if err != nil {
		t.Fatal(err)
	}
	far, err := pairOn(theirs)
	if err != nil {
		t.Fatal(err)
	}
	n := &Successor{succession: s, pair: ours, ready: make(chan Ready, 1), failed: make(chan Failed, 1)}
	go ours.each(n.take)
	t.Cleanup(func() { ours.close(); far.close() })
	return n, join(far, -1)
}

func TestFollowsComeInOrderAndAreAnsweredOneByOne(t *testing.T) {
	type asked struct {
		service string
		done    func()
	}
	queue := make(chan asked, 100)
	_, p := both(t, Succession{Follow: func(f Following, done func()) { queue <- asked{f.Service, done} }})
	var dones [100]chan struct{}
	for i := range dones {
		dones[i] = make(chan struct{})
		p.Follow(Following{Service: fmt.Sprint(i)}, func() { close(dones[i]) })
	}
	var all [100]asked
	for i := range all {
		if all[i] = within(t, "a Follow", queue); all[i].service != fmt.Sprint(i) {
			t.Fatalf("Follow %d is for %s", i, all[i].service)
		}
	}
	for i := len(all) - 1; i >= 0; i-- { // the last is answered first
		select {
		case <-dones[i]:
			t.Fatalf("Follow %d was answered before it was done", i)
		default:
		}
		all[i].done()
		within(t, "the answer", dones[i])
	}
}

func TestNobodyIsWaitedForWhenThePairBreaks(t *testing.T) {
	n, p := both(t, Succession{Follow: func(Following, func()) {}})
	var left sync.WaitGroup
	left.Add(2)
	p.Follow(Following{Service: "a"}, left.Done)
	p.Follow(Following{Service: "b"}, left.Done)
	n.pair.close()
	done := make(chan struct{})
	go func() { left.Wait(); close(done) }()
	within(t, "both are done", done)
	within(t, "Gone", p.Gone())
	late := make(chan struct{})
	p.Follow(Following{Service: "c"}, func() { close(late) })
	within(t, "a later one", late)
	p.End()
	p.Fail(errors.New("x")) // neither of which hangs
}

func TestALargeStateArrivesWhole(t *testing.T) {
	n, p := both(t, Succession{})
	var records []*spec.Record
	for i := range 1000 { // more than fits into the socket's buffers
		records = append(records, record(fmt.Sprintf("service-%d", i)))
	}
	n.pair.send(message{State: &State{Protocol: protocol, Version: "1", Records: records}})
	state, err := p.State(t.Context())
	if err != nil || !slices.EqualFunc(state.Records, records, same) {
		t.Errorf("%d records of %d arrived, %v", len(state.Records), len(records), err)
	}
}

func TestOtherVersionsAreUnderstoodOrRefused(t *testing.T) {
	n, p := both(t, Succession{})
	io.WriteString(n.pair.conn, `{"Weather":{"Sun":true}}`+"\n"+`{"State":{"Protocol":1,"Version":"9","Moon":1}}`+"\n")
	if state, err := p.State(t.Context()); err != nil || state.Version != "9" {
		t.Errorf("got %+v, %v", state, err)
	}
	n, p = both(t, Succession{})
	io.WriteString(n.pair.conn, `{"State":{"Protocol":2,"Version":"9"}}`+"\n")
	if _, err := p.State(t.Context()); err == nil || !strings.Contains(err.Error(), "another protocol (2)") {
		t.Errorf("got %v", err)
	}
	n, p = both(t, Succession{})
	io.WriteString(n.pair.conn, `{"State":{"Protocol":1,"Records":"one"}}`+"\n")
	if _, err := p.State(t.Context()); err == nil || !strings.Contains(err.Error(), "cannot be read") || !strings.Contains(err.Error(), "Records") {
		t.Errorf("got %v", err)
	}
	within(t, "Gone on the other side", n.pair.broken)
	n, p = both(t, Succession{})
	n.pair.close()
	if _, err := p.State(t.Context()); !errors.Is(err, errPredecessorGone) {
		t.Errorf("got %v", err)
	}
}
