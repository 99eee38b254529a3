package integration

import (
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

func TestStateSurvivesKill(t *testing.T) {
	d := startDaemon(t)
	a := startApp(t, "a")
	d.must("deploy", "web", "--host", "web.example", "--target", a.target())
	d.must("deploy", "closed", "--host", "closed.example", "--target", a.target())
	d.must("stop", "closed", "--message", "Back <soon>")
	d.must("deploy", "gone", "--host", "gone.example", "--target", a.target())
	d.must("remove", "gone")
	before, _, _ := d.run("list")

	d.kill()
	d.start()

	if !strings.Contains(d.log.String(), `"services":2`) || !strings.Contains(d.log.String(), `"msg":"State restored"`) {
		t.Errorf("the log does not say that two services were restored:\n%s", d.log)
	}
	if after, _, _ := d.run("list"); after != before {
		t.Errorf("list was\n%s\nand is\n%s", before, after)
	}
	if _, body := d.get("web.example", "/"); body != "a" {
		t.Errorf("web.example answers %q, want a", body)
	}
	if status, body := d.get("closed.example", "/"); status != http.StatusServiceUnavailable || !strings.Contains(body, "Back &lt;soon&gt;") {
		t.Errorf("closed.example answers %d %q, want 503 with the message", status, body)
	}
	if status, _ := d.get("gone.example", "/"); status != http.StatusNotFound {
		t.Errorf("gone.example answers %d, want 404", status)
	}
}

// The daemon is killed at random moments while orders run. After each start it
// must serve every service whose deploy was acknowledged.
func TestKillAtAnyMomentKeepsWhatWasAcknowledged(t *testing.T) {
	d := startDaemon(t)
	a := startApp(t, "a")
	var mu sync.Mutex
	acknowledged := map[string]bool{}
	for round := range 8 {
		before := len(acknowledged)
		var deploys sync.WaitGroup
		for i := range 4 {
			deploys.Go(func() {
				for j := range 100 {
					name := fmt.Sprintf("s%d-%d-%d", round, i, j)
					if _, _, code := d.run("deploy", name, "--host", name+".example", "--target", a.target()); code != 0 {
						return
					}
					mu.Lock()
					acknowledged[name] = true
					mu.Unlock()
				}
			})
		}
		if round%2 == 0 { // some time after one was acknowledged
			eventually(t, "a deploy is acknowledged", func() error {
				mu.Lock()
				defer mu.Unlock()
				if len(acknowledged) == before {
					return errors.New("none is")
				}
				return nil
			})
		}
		<-time.After(time.Duration(rand.IntN(150)) * time.Millisecond)
		d.kill()
		deploys.Wait()
		d.start()
		listed, _, code := d.run("list")
		if code != 0 {
			t.Fatal("list failed after a restart")
		}
		for name := range acknowledged {
			if !strings.Contains(listed, name+" ") {
				t.Errorf("%s was acknowledged and is lost after kill %d", name, round)
			}
		}
	}
	if len(acknowledged) == 0 {
		t.Error("no deploy was ever acknowledged: the test shows nothing")
	}
	for name := range acknowledged {
		if status, _ := d.get(name+".example", "/"); status != http.StatusOK {
			t.Errorf("%s.example answers %d", name, status)
		}
		break
	}
}

func TestDamagedStateIsSetAsideAndTheBackupUsed(t *testing.T) {
	d := startDaemon(t)
	a := startApp(t, "a")
	d.must("deploy", "first", "--host", "first.example", "--target", a.target())
	d.must("deploy", "second", "--host", "second.example", "--target", a.target())
	d.kill()
	state := filepath.Join(d.home, ".config", "kamal-proxy", "kamal-proxy.state")
	data, err := os.ReadFile(state)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(state, data[:len(data)/2], 0o600); err != nil {
		t.Fatal(err)
	}
	d.start()
	if _, body := d.get("first.example", "/"); body != "a" {
		t.Errorf("first.example answers %q: the backup was not used", body)
	}
	if !strings.Contains(d.log.String(), `"level":"ERROR"`) {
		t.Error("the damage is not told in the log")
	}
	aside, _ := filepath.Glob(state + ".damaged*")
	if len(aside) != 1 {
		t.Errorf("%d damaged files were set aside, want 1", len(aside))
	}
}

func TestFreshStartSaysSo(t *testing.T) {
	d := startDaemon(t)
	if !strings.Contains(d.log.String(), "No previous state to restore") {
		t.Error("the log of a fresh start does not say: No previous state to restore")
	}
}

func TestTenThousandHosts(t *testing.T) {
	hosts := 10_000
	if slices.Contains(buildFlags, "-race") {
		hosts = 2_000 // each takes the race detector milliseconds
	}
	d := startDaemon(t)
	a := startApp(t, "a")
	d.must("deploy", "seed", "--host", "seed.example", "--target", a.target())
	d.stop()
	state := filepath.Join(d.home, ".config", "kamal-proxy", "kamal-proxy.state")
	var entries []map[string]any
	data, err := os.ReadFile(state)
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(data, &entries); err != nil {
		t.Fatal(err)
	}
	var many []json.RawMessage
	for i := range hosts {
		text, _ := json.Marshal(entries[0])
		many = append(many, json.RawMessage(strings.ReplaceAll(string(text), "seed", fmt.Sprintf("s%05d", i))))
	}
	data, _ = json.Marshal(many)
	if err := os.WriteFile(state, data, 0o600); err != nil {
		t.Fatal(err)
	}
	d.start()
	for _, i := range []int{0, 1_321, hosts - 1} {
		if _, body := d.get(fmt.Sprintf("s%05d.example", i), "/"); body != "a" {
			t.Errorf("service %d answers %q", i, body)
		}
	}
	d.must("deploy", "one-more", "--host", "one-more.example", "--target", a.target())
	if out, _, _ := d.run("list"); strings.Count(out, "\n") < hosts+2 {
		t.Errorf("list has %d lines", strings.Count(out, "\n"))
	}
	d.refused("host is used by another service", "deploy", "twice", "--host", "s01321.example", "--target", a.target())
}
