package integration

import (
	"fmt"
	"os/exec"
	"regexp"
	"strconv"
	"sync"
	"testing"
	"time"
)

// slowBound is how much memory the daemon may ever have taken, in KiB, while
// thousands of connections do next to nothing.
const slowBound = 384 << 10

// TestSlowAttacks has slowhttptest open as many connections as it can, in its
// four modes, beside honest clients: these are all answered. `make attack` has
// each mode alone, for longer and with more connections.
func TestSlowAttacks(t *testing.T) {
	t.Parallel()
	path := peer(t, "slowhttptest")
	connections, seconds := either(1000, 150), either(10, 4)
	for mode, flags := range map[string][]string{"streamed": nil, "buffered": buffered} {
		t.Run(mode, func(t *testing.T) {
			d := startDaemon(t)
			target := startWitness(t)
			d.must(append([]string{"deploy", "web", "--target", target.target(), "--host", "*.example"}, flags...)...)
			d.must(append([]string{"deploy", "slow", "--target", startLavish(t), "--host", "localhost"}, flags...)...)
			honest := honestClients(t, d)
			var all sync.WaitGroup
			for name, args := range map[string][]string{
				"slow heads":  {"-H", "-i", "1", "-t", "GET"},
				"slow bodies": {"-B", "-i", "1", "-s", "8192", "-t", "POST"},
				"ranges":      {"-R", "-a", "5", "-b", "3000", "-t", "HEAD"},
				"slow reads":  {"-X", "-i", "1", "-w", "10", "-y", "20", "-n", "1", "-z", "32", "-k", "3"},
			} {
				all.Go(func() {
					args = append(args, "-u", fmt.Sprintf("http://localhost:%d/", d.http), "-c", strconv.Itoa(connections),
						"-r", strconv.Itoa(connections/2), "-l", strconv.Itoa(seconds), "-p", strconv.Itoa(int(patience/time.Second)))
					said, err := exec.Command(path, args...).CombinedOutput()
					if available(said) != "YES" {
						t.Errorf("%s: the service was not available, %v:\n%s", name, err, tail(string(said), 2000))
					}
				})
				if long() {
					all.Wait()
				}
			}
			all.Wait()
			t.Logf("99 of 100 honest clients were answered within %s; the aim is 100ms", honest().Round(time.Millisecond))
			d.boundedBy(t, slowBound)
			target.check(t)
		})
	}
}

// available is what slowhttptest last said of its probe.
func available(said []byte) string {
	all := regexp.MustCompile(`service available:(?:\s|\x1b\[[0-9;]*m)*(YES|NO)`).FindAllSubmatch(said, -1)
	if len(all) == 0 {
		return "not said"
	}
	return string(all[len(all)-1][1])
}
