package buffer

import (
	"bytes"
	"errors"
	"io"
	"math/rand/v2"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

func TestTargetIsFreeBeforeASlowClientHasRead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStreaming(t)
		s.client.gate = make(chan struct{})
		s.begin()
		want := body(10 << 20)
		start := time.Now()
		if _, err := s.target.Write(want); err != nil {
			t.Fatal(err)
		}
		s.target.Close()
		if err := <-s.ended; err != nil {
			t.Fatal(err)
		}
		if took := time.Since(start); took > patience {
			t.Errorf("the target waited for %v", took)
		}
		if s.client.all.Len() != 0 {
			t.Errorf("the client has got %d bytes", s.client.all.Len())
		}
		synctest.Wait()
		if all, inMemory := s.kept(); inMemory > s.Limits.Memory+largeChunk || all < 9<<20 {
			t.Errorf("%d of %d bytes are in memory", inMemory, all)
		}
		mustBeEmpty(t, s.Limits.Dir)
		close(s.client.gate)
		if err := <-s.result; err != nil {
			t.Fatal(err)
		}
		mustEqual(t, "sent", s.client.all.Bytes(), want)
	})
}

func TestNobodyIsSentForWhileTheClientKeepsUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStreaming(t)
		s.client.slow = func() time.Duration { return patience - 1 }
		s.client.hook = func([]byte) {
			if s.relay.state.Load() == relieved {
				t.Error("somebody reads beside the client's goroutine")
			}
		}
		s.begin()
		for range 50 {
			s.target.Write(body(1000))
		}
		s.target.Close()
		if err := <-s.result; err != nil {
			t.Error(err)
		}
	})
}

func TestReliefLeavesOnceTheClientHasCaughtUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStreaming(t)
		s.client.gate = make(chan struct{})
		s.begin()
		for round := range 3 {
			io.WriteString(s.target, "slow ")
			io.WriteString(s.target, "kept ") // once the relief is there
			if s.relay.state.Load() != relieved {
				t.Fatalf("round %d: nobody reads while the client is slow", round)
			}
			s.client.gate <- struct{}{}
			s.client.gate <- struct{}{}
			synctest.Wait() // it has got all there is
			io.WriteString(s.target, "last ")
			s.client.gate <- struct{}{}
			synctest.Wait()
			if s.relay.state.Load() != calm {
				t.Fatalf("round %d: the relief is still there", round)
			}
		}
		s.target.Close()
		if err := <-s.result; err != nil || s.client.all.String() != strings.Repeat("slow kept last ", 3) {
			t.Errorf("got %q, %v", &s.client.all, err)
		}
		if s.client.held != 0 {
			t.Error("a part was not flushed")
		}
	})
}

// Where the disk is full the target waits, as it would without a proxy.
func TestFullDiskMakesTheTargetWait(t *testing.T) {
	for _, memory := range []int64{0, 100_000} {
		synctest.Test(t, func(t *testing.T) {
			s := newStreaming(t)
			s.Limits.Memory, s.Limits.create = memory, fullDisk
			s.client.gate = make(chan struct{})
			s.begin()
			want := body(1 << 20)
			go func() {
				s.target.Write(want)
				s.target.Close()
			}()
			time.Sleep(time.Minute)
			if all, _ := s.kept(); len(s.ended) > 0 || all < memory || all > memory+largeChunk {
				t.Errorf("%d bytes were kept", all)
			}
			close(s.client.gate)
			if err := <-s.result; err != nil {
				t.Fatal(err)
			}
			mustEqual(t, "sent", s.client.all.Bytes(), want)
		})
	}
}

func TestBacklogHasALimit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStreaming(t)
		s.Limits.Memory, s.Backlog = 50_000, 300_000
		s.client.gate = make(chan struct{})
		s.begin()
		want := body(1 << 20)
		go func() {
			s.target.Write(want)
			s.target.Close()
		}()
		time.Sleep(time.Minute)
		if all, _ := s.kept(); all != 300_000 {
			t.Errorf("%d bytes were kept", all)
		}
		close(s.client.gate)
		if err := <-s.result; err != nil {
			t.Fatal(err)
		}
		mustEqual(t, "sent", s.client.all.Bytes(), want)
	})
}

func TestClientThatLeavesAFullBacklog(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStreaming(t)
		s.Backlog = 1000
		s.client.gate = make(chan struct{})
		s.client.fail = io.ErrClosedPipe
		s.begin()
		go s.target.Write(body(1 << 20))
		time.Sleep(time.Minute)
		close(s.client.gate)
		if err := <-s.result; !errors.Is(err, io.ErrClosedPipe) {
			t.Error(err)
		}
	})
}

func TestFileThatFailsBreaksTheResponseOff(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStreaming(t)
		s.Limits.Memory = 0
		s.client.gate = make(chan struct{})
		s.begin()
		s.target.Write(body(1 << 20))
		synctest.Wait()
		s.relay.mu.Lock()
		s.relay.backlog.disk.file.Truncate(0)
		s.relay.mu.Unlock()
		close(s.client.gate)
		var disk *DiskError
		if err := <-s.result; !errors.As(err, &disk) || s.stops.Load() != 1 {
			t.Errorf("error is %v, stopped %d times", err, s.stops.Load())
		}
	})
}

type panicking struct{ io.Reader }

func (p panicking) Read(b []byte) (int, error) {
	n, err := p.Reader.Read(b)
	if bytes.Contains(b[:n], []byte("panic")) {
		panic("bad body")
	}
	return n, err
}

// A panic is the request's, whoever read.
func TestPanicOfTheBodyIsTheRequests(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStreaming(t)
		s.client.gate = make(chan struct{})
		s.Body = panicking{s.Body}
		caught := make(chan any)
		go func() {
			defer func() { caught <- recover() }()
			s.Relay()
		}()
		io.WriteString(s.target, "slow")
		go io.WriteString(s.target, "panic")
		synctest.Wait()
		time.Sleep(time.Second)
		close(s.client.gate)
		if cause, _ := (<-caught).(string); !strings.HasPrefix(cause, "bad body\n") {
			t.Errorf("caught %v", cause)
		}
		s.Stop(nil)
	})
}

func TestPanicOfTheClientStopsTheTarget(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStreaming(t)
		s.client.slow = func() time.Duration {
			time.Sleep(time.Second)
			panic("bad client")
		}
		caught := make(chan any)
		go func() {
			defer func() { caught <- recover() }()
			s.Relay()
		}()
		io.WriteString(s.target, "part")
		if cause := <-caught; cause != "bad client" {
			t.Errorf("caught %v", cause)
		}
		if s.stops.Load() != 1 {
			t.Errorf("stopped %d times", s.stops.Load())
		}
	})
}

// Whatever the pace of both sides, all arrives in order and nothing is left.
func TestStreamAtAnyPace(t *testing.T) {
	for seed := range uint64(30) {
		synctest.Test(t, func(t *testing.T) {
			random := rand.New(rand.NewPCG(seed, 0))
			s := newStreaming(t)
			s.Limits.Memory = random.Int64N(100_000)
			s.Backlog = random.Int64N(2) * 200_000
			s.client.slow = func() time.Duration { return time.Duration(rand.Int64N(int64(2 * patience))) }
			s.begin()
			want := body(random.IntN(2 << 20))
			for left := want; len(left) > 0; {
				n := min(len(left), 1+random.IntN(100_000))
				s.target.Write(left[:n])
				left = left[n:]
				time.Sleep(time.Duration(random.Int64N(int64(8 * patience))))
			}
			s.target.Close()
			if err := <-s.result; err != nil {
				t.Fatal(err)
			}
			mustEqual(t, "sent", s.client.all.Bytes(), want)
			mustBeEmpty(t, s.Limits.Dir)
		})
	}
}
