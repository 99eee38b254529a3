package integration

import (
	"encoding/xml"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

// startSecure runs a daemon with an app behind https://localhost.
func startSecure(t *testing.T) (d *daemon, deploy func(*app)) {
	t.Helper()
	d = startDaemon(t)
	certPath, keyPath, _ := certificate(t, t.TempDir(), "localhost")
	deploy = func(a *app) {
		t.Helper()
		d.must("deploy", "web", "--target", a.target(), "--host", "localhost", "--tls",
			"--tls-certificate-path", certPath, "--tls-private-key-path", keyPath)
	}
	return d, deploy
}

func TestDeploysUnderH2loadLoseNothing(t *testing.T) {
	d, deploy := startSecure(t)
	apps := []*app{startApp(t, "blue"), startApp(t, "green")}
	deploy(apps[0])
	deployed := make(chan struct{})
	go func() {
		defer close(deployed)
		for i := range 6 {
			old := apps[i%2]
			awaitServed(t, old, old.served.Load()+300)
			deploy(apps[(i+1)%2])
		}
	}()
	for under := true; under; {
		said, err := exec.Command(peer(t, "h2load"), "-D", "1", "-c", "8", "-m", "16", fmt.Sprintf("https://localhost:%d/", d.https)).CombinedOutput()
		if err != nil {
			t.Fatalf("h2load: %v\n%s", err, said)
		}
		if text := string(said); !strings.Contains(text, "Application protocol: h2\n") || !strings.Contains(text, " 0 failed, 0 errored, 0 timeout") ||
			!strings.Contains(text, " 0 3xx, 0 4xx, 0 5xx") || h2loadSuccesses(text) == 0 {
			t.Fatalf("h2load saw errors:\n%s", said)
		}
		select {
		case <-deployed:
			under = false
		default:
		}
	}
}

func h2loadSuccesses(said string) int {
	m := regexp.MustCompile(`(\d+) succeeded`).FindStringSubmatch(said)
	if m == nil {
		return 0
	}
	n, _ := strconv.Atoi(m[1])
	return n
}

// h2specReport is what h2spec writes for JUnit.
type h2specReport struct {
	Suites []struct {
		Cases []struct {
			Section string    `xml:"package,attr"`
			Name    string    `xml:"classname,attr"`
			Failure *struct{} `xml:"failure"`
		} `xml:"testcase"`
	} `xml:"testsuite"`
}

// TestH2spec wants no failure but those that the page about it explains.
func TestH2spec(t *testing.T) {
	d, deploy := startSecure(t)
	deploy(startApp(t, "long enough for it"))
	report := filepath.Join(t.TempDir(), "report.xml")
	out, ran := exec.Command(peer(t, "h2spec"), "--timeout", "15", "--tls", "--insecure", "--host", "localhost", "--port", strconv.Itoa(d.https),
		"--junit-report", report).CombinedOutput()
	text, err := os.ReadFile(report)
	if err != nil {
		t.Fatalf("h2spec: %v, %v\n%s", ran, err, out)
	}
	var result h2specReport
	if err := xml.Unmarshal(text, &result); err != nil {
		t.Fatal(err)
	}
	page, err := os.ReadFile("../docs/compatibility-h2spec.md")
	if err != nil {
		t.Fatal(err)
	}
	tests, failed := 0, 0
	for _, suite := range result.Suites {
		for _, c := range suite.Cases {
			tests++
			if c.Failure == nil {
				continue
			}
			failed++
			if !strings.Contains(string(page), "| "+c.Section+": "+c.Name+" |") {
				t.Errorf("%s fails: %s", c.Section, c.Name)
			}
		}
	}
	recorded := regexp.MustCompile(`\| all \| (\d+) \| \d+ \| (\d+) \|`).FindStringSubmatch(string(page))
	if recorded == nil {
		t.Fatal("the page has no sum")
	}
	if strconv.Itoa(tests) != recorded[1] {
		t.Errorf("h2spec made %d tests, the page has %s", tests, recorded[1])
	}
	if most, _ := strconv.Atoi(recorded[2]); failed > most {
		t.Errorf("%d tests failed, the page has %d:\n%s", failed, most, tail(string(out), 4000))
	}
}
