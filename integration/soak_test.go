package integration

import (
	"fmt"
	"os"
	"strings"
	"testing"
	"text/tabwriter"
	"time"
)

// soakTime is how long the soak lasts: SOAK of make soak, or a few seconds.
func soakTime(t *testing.T) time.Duration {
	t.Helper()
	text := os.Getenv("KAMAL_PROXY_SOAK")
	if text == "" {
		return 5 * time.Second
	}
	d, err := time.ParseDuration(text)
	if err != nil {
		t.Fatalf("SOAK is %q: give a duration, such as 10m", text)
	}
	return d
}

// What a daemon holds may grow by so much between the second fifth of the time
// and the last one, and by a tenth: load at random is never the same.
var soakSlack = usage{goroutines: 40, descriptors: 40, rss: 24 << 10}

// Mixed load, well behaved and not: whatever comes and goes, the daemon holds
// no more at the end than when it had warmed up, and nothing when all have
// gone.
func TestSoak(t *testing.T) {
	t.Parallel()
	d := startScraped(t, "--http3", unhurried)
	d.log.keepLast(4 << 20)
	idle := d.usage()
	s := startStorm(t, d, 40)
	n := startNuisances(t, s)
	watch := watchUsage(d, soakTime(t))
	n.end()
	s.tally.note("%d deploys of its services", s.made())
	s.end("soak")
	s.tally.nothingLost(t)
	watch.print(t)
	watch.level(t)
	for _, service := range s.services {
		d.must("remove", service.name)
	}
	nothingStays(t, d, idle)
}

// sample is what a daemon held at a time.
type sample struct {
	at time.Duration
	usage
}

type samples []sample

// watchUsage looks 40 times in a time.
func watchUsage(d *daemon, all time.Duration) (s samples) {
	begun := time.Now()
	for range 40 {
		<-time.After(all / 40)
		s = append(s, sample{time.Since(begun).Round(time.Millisecond), d.usage()})
	}
	return s
}

func (s samples) print(t *testing.T) {
	var text strings.Builder
	table := tabwriter.NewWriter(&text, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(table, "after\tgoroutines\tdescriptors\tRSS (MiB)\t")
	for i := 3; i < len(s); i += 4 {
		fmt.Fprintf(table, "%s\t%d\t%d\t%.1f\t\n", s[i].at, s[i].goroutines, s[i].descriptors, float64(s[i].rss)/1024)
	}
	table.Flush()
	t.Logf("what the daemon held\n%s", text.String())
}

// level wants the least of the last fifth to be no more than that of the second,
// but for soakSlack: what is held for good is held at each look, and what a
// machine that stood still had to catch up with is not.
func (s samples) level(t *testing.T) {
	t.Helper()
	fifth := len(s) / 5
	warm, last := s[fifth:2*fifth].least(), s[len(s)-fifth:].least()
	t.Logf("warm: %s; at the end: %s", warm, last)
	for _, c := range []struct {
		what              string
		warm, last, slack int
	}{
		{"goroutines", warm.goroutines, last.goroutines, soakSlack.goroutines},
		{"descriptors", warm.descriptors, last.descriptors, soakSlack.descriptors},
		{"KiB of memory", warm.rss, last.rss, soakSlack.rss},
	} {
		if c.last > c.warm+c.warm/10+c.slack {
			t.Errorf("%s grew from %d to %d", c.what, c.warm, c.last)
		}
	}
}

func (s samples) least() usage {
	least := s[0].usage
	for _, one := range s {
		least.goroutines = min(least.goroutines, one.goroutines)
		least.descriptors = min(least.descriptors, one.descriptors)
		least.rss = min(least.rss, one.rss)
	}
	return least
}

// startNuisances begins all that a proxy meets beside honest requests.
func startNuisances(t *testing.T, s *storm) *nuisances {
	n := &nuisances{t: t, d: s.d, s: s, stop: make(chan struct{}), app: startApp(t, "soaked")}
	n.every(5*time.Second, func() { s.deploys(1) })
	for _, host := range stormHosts {
		n.every(200*time.Millisecond, func() { n.abortUpload(host) })
		n.every(300*time.Millisecond, func() { n.leaveEarly(host) })
		n.every(time.Second, func() { n.readSlowly(host) })
	}
	n.every(400*time.Millisecond, n.sayHalfAHead)
	n.every(200*time.Millisecond, n.failHandshakes)
	n.every(2*time.Second, n.pauseAndResume)
	n.every(3*time.Second, n.comeAndGo)
	return n
}
