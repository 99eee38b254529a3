package main

import (
	"context"
	"os"
	"runtime"
	"sync/atomic"
	"testing"
	"time"
)

func TestDemandIsLightAfterAQuietSecondAndHeavyAtOnce(t *testing.T) {
	var d demand
	now, used := time.Now(), time.Duration(0)
	glances := func(n, percent int) (changes int) {
		for range n {
			now = now.Add(glance)
			used += glance * time.Duration(percent) / 100
			if d.note(now, used) {
				changes++
			}
		}
		return changes
	}
	for _, step := range []struct {
		glances, percent, changes int
		light                     bool
	}{
		{10, 10, 0, false}, // the first glance knows of nothing before it
		{1, 10, 1, true},
		{100, 55, 0, true}, // between the two
		{1, 150, 1, false}, // more than one processor can do
		{100, 55, 0, false},
		{9, 5, 0, false},
		{1, 50, 0, false}, // the second begins anew
		{9, 5, 0, false},
		{1, 5, 1, true},
	} {
		if changes := glances(step.glances, step.percent); changes != step.changes || d.light != step.light {
			t.Fatalf("after %d glances at %d %%: %d changes and light %t, want %d and %t",
				step.glances, step.percent, changes, d.light, step.changes, step.light)
		}
	}
}

func TestProcessorsFollowTheLoad(t *testing.T) {
	if runtime.NumCPU() == 1 || os.Getenv("GOMAXPROCS") != "" {
		t.Skip("there is one processor, or GOMAXPROCS says how many")
	}
	all := runtime.GOMAXPROCS(0)
	var busy atomic.Bool
	began := time.Now()
	taken := func() time.Duration {
		if busy.Load() {
			return 2 * time.Since(began)
		}
		return 0
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() { defer close(ended); followLoad(ctx, taken) }()

	until := func(want int) {
		t.Helper()
		for deadline := time.Now().Add(20 * time.Second); runtime.GOMAXPROCS(0) != want; <-time.After(glance) {
			if time.Now().After(deadline) {
				t.Fatalf("%d processors are used, want %d", runtime.GOMAXPROCS(0), want)
			}
		}
	}
	until(1)
	busy.Store(true)
	until(all)
	busy.Store(false)
	until(1)
	cancel()
	<-ended
	if n := runtime.GOMAXPROCS(0); n != all {
		t.Errorf("%d processors are used in the end, want %d", n, all)
	}
}

func TestProcessorTimeIsWhatWasUsed(t *testing.T) {
	before := processorTime()
	for deadline := time.Now().Add(20 * time.Second); processorTime() < before+50*time.Millisecond; {
		if time.Now().After(deadline) {
			t.Fatal("a busy process takes no time")
		}
	}
}
