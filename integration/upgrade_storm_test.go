package integration

import (
	"sync"
	"testing"
	"time"
)

// Upgrades under load at a constant rate, each followed by a deploy in all
// services whose old targets are gone at once, though the process before may
// still have had requests on them.
func TestUpgradeStorm(t *testing.T) {
	t.Parallel()
	d := startLineage(t, "--http3", unhurried)
	s := startStorm(t, d, 60)
	n := either(20, 3)
	var longest time.Duration
	for range n {
		s.awaitBusy(s.services[0])
		begun := time.Now()
		d.upgrade()
		longest = max(longest, time.Since(begun))
		s.deploys(1)
	}
	s.tally.note("%d upgrades, the longest of %s; %d deploys", n, longest.Round(time.Millisecond), s.made())
	s.end("upgrade storm")
	s.tally.nothingLost(t)
	awaitOnlyNewest(t, d)
}

// Upgrades and deploys that do not wait for each other.
func TestUpgradeStormBesideDeploys(t *testing.T) {
	t.Parallel()
	d := startLineage(t, unhurried)
	s := startStorm(t, d, 60)
	n := either(20, 2)
	var beside sync.WaitGroup
	beside.Go(func() { s.deploys(n) })
	for range n {
		s.awaitBusy(s.services[0])
		d.upgrade()
	}
	beside.Wait()
	s.tally.note("%d upgrades beside %d deploys", n, s.made())
	s.end("upgrades beside deploys")
	s.tally.nothingLost(t)
	awaitOnlyNewest(t, d)
}

// awaitOnlyNewest waits until each process but the last has ended.
func awaitOnlyNewest(t *testing.T, d *daemon) {
	t.Helper()
	pids := d.lineage()
	for _, pid := range pids[:len(pids)-1] {
		awaitEnd(t, pid)
	}
}
