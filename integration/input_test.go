package integration

import (
	"bytes"
	"fmt"
	"net"
	"net/http"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func TestBadInputIsRefusedInOneLineAndChangesNothing(t *testing.T) {
	d := startDaemon(t)
	a := startApp(t, "a")
	d.must("deploy", "web", "--target", a.target())
	before, _, _ := d.run("list")
	deploy := func(args ...string) []string {
		return append([]string{"deploy", "web", "--target", a.target()}, args...)
	}
	for _, c := range []struct {
		want string
		args []string
	}{
		{"unknown flag: --nonsense", deploy("--nonsense")},
		{"accepts 1 arg(s), received 2", deploy("more")},
		{"accepts 1 arg(s), received 0", []string{"deploy", "--target", a.target()}},
		{"accepts 1 arg(s), received 0", []string{"remove"}},
		{"target", []string{"deploy", "web"}},
		{":80 :invalid host pattern", []string{"deploy", "web", "--target", ":80"}},
		{"http://x :invalid host pattern", []string{"deploy", "web", "--target", "http://x"}},
		{"a b :invalid host pattern", []string{"deploy", "web", "--target", "a b"}},
		{"--target", []string{"deploy", "web", "--target", "", "--force"}},
		{"health-check-interval", deploy("--health-check-interval=0s")},
		{"health-check-interval", deploy("--health-check-interval=-1s")},
		{"health-check-timeout", deploy("--health-check-timeout=0s")},
		{"buffer-memory", deploy("--buffer-memory=-1")},
		{"host", deploy("--host", strings.Repeat("a", 300))},
		{"host", deploy("--host", "a b.example")},
		{"name", []string{"deploy", "we\x01b", "--target", a.target()}},
		{"service options invalid: host must be set when using TLS", deploy("--tls")},
		{"max-request-body can only be set when request buffering is enabled", deploy("--max-request-body", "1")},
		{"unable to load certificate", deploy("--host", "x.example", "--tls", "--tls-certificate-path", "/nowhere/c", "--tls-private-key-path", "/nowhere/k")},
		{"unable to load error pages", deploy("--error-pages", "/nowhere")},
		{"service not found", []string{"remove", "nobody"}},
		{"service not found", []string{"pause", "nobody"}},
		{"service not found", []string{"stop", "nobody"}},
		{"service not found", []string{"resume", "nobody"}},
		{"rollout target not set", []string{"rollout", "set", "web", "--percent", "10"}},
		{"percent", []string{"rollout", "set", "web", "--percent", "101"}},
		{"unknown command", []string{"deplyo"}},
	} {
		d.refused(c.want, c.args...)
	}
	if after, _, _ := d.run("list"); after != before {
		t.Errorf("list was\n%s\nand is\n%s", before, after)
	}
	if _, body := d.get("any.host", "/"); body != "a" {
		t.Errorf("got %q, want a", body)
	}
}

func TestGarbageOnTheSocketHarmsNobody(t *testing.T) {
	d := startDaemon(t)
	a := startApp(t, "a")
	d.must("deploy", "web", "--target", a.target())
	for _, garbage := range []string{
		"\x00\x01\x02\x03", "GET / HTTP/1.1\r\n\r\n", "POST /deploy HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nabcde",
		"POST /deploy HTTP/1.1\r\nHost: x\r\nContent-Length: 999999999999\r\n\r\n{", strings.Repeat("A", 1<<20), "",
	} {
		conn, err := net.Dial("unix", filepath.Join(d.home, "kamal-proxy.sock"))
		if err != nil {
			t.Fatal(err)
		}
		conn.SetDeadline(time.Now().Add(patience))
		conn.Write([]byte(garbage))
		conn.Close()
	}
	if out, _, code := d.run("list"); code != 0 || !strings.Contains(out, "web") {
		t.Errorf("list after garbage: exit %d, %q", code, out)
	}
}

func TestNoDaemonIsSaidPlainly(t *testing.T) {
	d := &daemon{t: t, home: shortTempDir(t)}
	_, stderr, code := d.run("list")
	if code != 1 || !strings.Contains(stderr, "kamal-proxy run") || strings.Count(stderr, "\n") != 1 {
		t.Errorf("exit %d, stderr %q, want one line that says how to start it", code, stderr)
	}
}

func TestSecondDaemonIsRefused(t *testing.T) {
	d := startDaemon(t)
	d.refused("kamal-proxy.sock", "run", "--http-port", "0", "--https-port", "0")
	if status, _ := d.get("any.host", "/"); status != http.StatusNotFound {
		t.Errorf("the first daemon answers %d", status)
	}
}

func TestPortInUseIsNamed(t *testing.T) {
	taken, err := net.Listen("tcp", ":0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	port := taken.Addr().(*net.TCPAddr).Port
	d := &daemon{t: t, home: shortTempDir(t)}
	d.refused(fmt.Sprint(port), "run", "--http-port", fmt.Sprint(port), "--https-port", "0")
	d.refused("--https-port", "run", "--http-port", "0", "--https-port", fmt.Sprint(port))
}

func TestRunReadsItsEnvironment(t *testing.T) {
	d := &daemon{t: t, home: shortTempDir(t)}
	cmd := exec.Command(program, "run", "--https-port", "0")
	cmd.Env = append(d.environment(), "KAMAL_PROXY_HTTP_PORT=many")
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	if err := cmd.Run(); err == nil || !strings.Contains(stderr.String(), "KAMAL_PROXY_HTTP_PORT") {
		t.Errorf("%v, stderr %q, want an error that names the variable", err, stderr.String())
	}
}

func TestHelpAndVersion(t *testing.T) {
	d := &daemon{t: t, home: shortTempDir(t)}
	for _, args := range [][]string{{"--version"}, {"help"}, {"help", "deploy"}, {"deploy", "--help"}, {"--help"}} {
		stdout, stderr, code := d.run(args...)
		if code != 0 || stdout == "" || stderr != "" {
			t.Errorf("kamal-proxy %v: exit %d, stdout %q, stderr %q", args, code, stdout, stderr)
		}
	}
}
