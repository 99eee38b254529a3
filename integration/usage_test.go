package integration

import (
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

// usage is what a process holds.
type usage struct {
	goroutines, descriptors int
	rss                     int // KiB
}

func (u usage) String() string {
	return fmt.Sprintf("%d goroutines, %d descriptors, %.1f MiB", u.goroutines, u.descriptors, float64(u.rss)/1024)
}

// startScraped runs a daemon whose usage can be seen.
func startScraped(t *testing.T, args ...string) *daemon {
	t.Helper()
	metrics := strings.Split(closedPort(t), ":")[1]
	return startDaemon(t, append(args, "--metrics-port", metrics)...)
}

// usage asks the metrics port and the kernel.
func (d *daemon) usage() (u usage) {
	d.t.Helper()
	client := &http.Client{Timeout: patience, Transport: &http.Transport{DisableKeepAlives: true}}
	metrics, err := fetch(client, fmt.Sprintf("http://127.0.0.1:%d/metrics", d.metric))
	if err != nil {
		d.t.Fatal(err)
	}
	u.goroutines = number(metrics, `(?m)^go_goroutines (\d+)$`)
	process := fmt.Sprintf("/proc/%d", d.cmd.Process.Pid)
	open, err := filepath.Glob(process + "/fd/*")
	if err != nil {
		d.t.Fatal(err)
	}
	u.descriptors = len(open)
	status, err := os.ReadFile(process + "/status")
	if err != nil {
		d.t.Fatal(err)
	}
	u.rss = number(string(status), `(?m)^VmRSS:\s+(\d+) kB$`)
	return u
}

func number(text, pattern string) int {
	m := regexp.MustCompile(pattern).FindStringSubmatch(text)
	if m == nil {
		return -1
	}
	n, _ := strconv.Atoi(m[1])
	return n
}
