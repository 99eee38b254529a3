package store

import (
	"bytes"
	"slices"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/rs/zerolog"

	"kamal-proxy/actors/spec"
	"kamal-proxy/actors/system"
)

// slowDisk lets a write go on only when it is told to.
type slowDisk struct {
	*fakeDisk
	proceed chan struct{}
	syncs   int
}

func (d *slowDisk) SyncDir(dir string) error {
	d.syncs++
	<-d.proceed
	return d.fakeDisk.SyncDir(dir)
}

// spawned starts a store in a bubble of synctest. What it tells arrives at
// told, which a test reads when the bubble is still.
func spawned(t *testing.T, disk Disk, log *bytes.Buffer) (store system.Ref[Message], told *[]Saved) {
	t.Helper()
	logger := zerolog.New(log)
	sys, err := system.New(logger)
	must(t, err)
	told = &[]Saved{}
	return system.Spawn(sys, "store", 16, New(Config{
		Dir: testDir, Disk: disk, Log: logger, Tell: func(s Saved) { *told = append(*told, s) },
	})), told
}

func TestOnlyTheNewestWaitingSaveIsWritten(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		disk := &slowDisk{fakeDisk: newFakeDisk(nil), proceed: make(chan struct{})}
		store, told := spawned(t, disk, &bytes.Buffer{})
		for i, target := range []string{"web:1", "web:2", "web:3", "web:4"} {
			store.Tell(Save{Sequence: uint64(i + 1), Records: set("a=" + target)})
			synctest.Wait() // Receive has returned, although the disk has not
		}
		if len(*told) != 0 {
			t.Fatalf("told %v before anything was on disk", *told)
		}
		disk.proceed <- struct{}{}
		synctest.Wait()
		if want := []Saved{{Sequence: 1}}; !slices.Equal(*told, want) {
			t.Fatalf("told %v, want %v", *told, want)
		}
		disk.proceed <- struct{}{}
		synctest.Wait()
		if want := []Saved{{Sequence: 1}, {Sequence: 4}}; !slices.Equal(*told, want) {
			t.Fatalf("told %v, want %v", *told, want)
		}
		if disk.syncs != 2 {
			t.Errorf("%d writes, want 2", disk.syncs)
		}
		if got := load(t, disk.fakeDisk); got != "a=web:4" {
			t.Errorf("got %s", got)
		}
	})
}

func TestFailedSaveIsToldAndTheNextIsWritten(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		disk := newFakeDisk(nil)
		store, told := spawned(t, disk, &bytes.Buffer{})
		store.Tell(Save{Sequence: 1, Records: set("a=web:1")})
		synctest.Wait()
		disk.failAt = disk.steps + 3
		store.Tell(Save{Sequence: 2, Records: set("a=web:2")})
		synctest.Wait()
		if len(*told) != 2 || (*told)[0].Err != nil || (*told)[1].Sequence != 2 || (*told)[1].Err == nil {
			t.Fatalf("told %v", *told)
		}
		if got := load(t, disk); got != "a=web:1" {
			t.Errorf("after the failure: %s", got)
		}
		disk.failAt = 0
		store.Tell(Save{Sequence: 3, Records: set("a=web:3")})
		synctest.Wait()
		if last := (*told)[len(*told)-1]; last != (Saved{Sequence: 3}) {
			t.Errorf("told %v", last)
		}
		if got := load(t, disk); got != "a=web:3" {
			t.Errorf("got %s", got)
		}
	})
}

type panics struct{}

func (panics) Each(func(*spec.Record) bool) { panic("walked over a nil map") }

func TestPanicWhileSavingIsAnError(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		log := &bytes.Buffer{}
		store, told := spawned(t, newFakeDisk(nil), log)
		store.Tell(Save{Sequence: 1, Records: panics{}})
		synctest.Wait()
		store.Tell(Save{Sequence: 2, Records: set("a=web:1")})
		synctest.Wait()
		if len(*told) != 2 || (*told)[0].Err == nil || (*told)[1] != (Saved{Sequence: 2}) {
			t.Errorf("told %v", *told)
		}
		if !strings.Contains(log.String(), "walked over a nil map") {
			t.Errorf("the log does not say why: %s", log)
		}
	})
}
