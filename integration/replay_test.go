package integration

import (
	"encoding/json"
	"fmt"
	"html"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"golang.org/x/net/idna"
)

// invocation is a line that Kamal has a remote shell run.
type invocation struct {
	line string
	args []string // what reaches the program
}

// invocations are Kamal's lines, as a shell takes them apart. Paths in Kamal's
// container are moved to dir.
func invocations(t *testing.T, target, dir string) []invocation {
	t.Helper()
	file, err := os.ReadFile("../cli/testdata/kamal-invocations.txt")
	if err != nil {
		t.Fatal(err)
	}
	var lines []invocation
	for line := range strings.Lines(string(file)) {
		line = strings.TrimSpace(line)
		full := strings.NewReplacer("{target}", target, "/home/kamal-proxy", dir).Replace(line)
		rest, ours := strings.CutPrefix(full, "kamal-proxy ")
		if !ours {
			t.Fatalf("strange line: %s", line)
		}
		out, err := exec.Command("sh", "-c", `printf '%s\0' `+rest).Output()
		if err != nil {
			t.Fatalf("%s: %v", line, err)
		}
		lines = append(lines, invocation{line, strings.Split(strings.TrimSuffix(string(out), "\x00"), "\x00")})
	}
	return lines
}

// given returns the values of a flag, which Kamal always writes with "=" or
// bare.
func (i invocation) given(name string) []string {
	var values []string
	for _, arg := range i.args {
		if arg == "--"+name {
			values = append(values, "true")
		} else if value, found := strings.CutPrefix(arg, "--"+name+"="); found {
			values = append(values, strings.Split(value, ",")...)
		}
	}
	return values
}

// row is a line of list --output json.
type row struct {
	Service, State        string
	Hosts, Paths, Targets []string
	TLS                   bool
}

func (d *daemon) rows() []row {
	d.t.Helper()
	out, stderr, code := d.run("list", "--output", "json")
	var rows []row
	if err := json.Unmarshal([]byte(out), &rows); err != nil || code != 0 {
		d.t.Fatalf("list --output json: exit %d, %v, %q, %q", code, err, out, stderr)
	}
	return rows
}

func TestEveryLineOfKamals(t *testing.T) {
	dir := t.TempDir()
	raw := startRaw(t, nil)
	d := startDaemon(t)
	layOut(t, dir)
	kinds := map[string]int{}
	for _, i := range invocations(t, raw.target(), dir) {
		order, service := i.args[0], ""
		if len(i.args) > 1 {
			service = i.args[1]
		}
		kinds[order]++
		switch order {
		case "run":
			continue // cli's test has its flags; and here is one that runs
		case "deploy":
			replayDeploy(t, d, raw, i)
		default:
			d.must("deploy", service, "--host", "certain.example", "--target", raw.target())
			replayOther(t, d, i)
		}
		for _, r := range d.rows() {
			d.must("remove", r.Service)
		}
		if t.Failed() {
			t.Fatalf("the line was: %s", i.line)
		}
	}
	if fmt.Sprint(kinds) != "map[deploy:44 remove:4 resume:2 run:3 stop:9]" {
		t.Errorf("Kamal's lines are %v", kinds)
	}
}

// layOut makes the files that Kamal puts on a server.
func layOut(t *testing.T, dir string) {
	t.Helper()
	apps := filepath.Join(dir, ".apps-config")
	for _, pages := range []string{"app/error_pages/999", "app_with_roles/error_pages/999", "app-staging/error_pages/5b1f6b5e5d5f8a9c0e1d2c3b4a59687766554433"} {
		folder := filepath.Join(apps, pages)
		if err := os.MkdirAll(folder, 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(folder, "503.html"), []byte("Custom: {{ .Message }}"), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	for _, role := range []string{"app/tls/web", "app-staging/tls/web"} {
		folder := filepath.Join(apps, role)
		if err := os.MkdirAll(folder, 0o755); err != nil {
			t.Fatal(err)
		}
		certificate(t, folder, "example.com")
	}
}

func replayDeploy(t *testing.T, d *daemon, raw *rawTarget, i invocation) {
	t.Helper()
	if strings.Contains(i.line, `X\"q`) { // no list in CSV: upstream refuses it, too
		d.refused(`bare " in non-quoted-field`, i.args...)
		return
	}
	tls := slices.Equal(i.given("tls"), []string{"true"})
	args := i.args
	if tls && i.given("tls-certificate-path") == nil {
		args = append(slices.Clone(args), "--tls-acme-directory=https://127.0.0.1:1/nobody") // never leaves the machine
	}
	d.must(args...)

	want := row{Service: i.args[1], State: "running", Hosts: asciiHosts(t, i.given("host")), Paths: i.given("path-prefix"), Targets: []string{raw.target()}, TLS: tls}
	if want.Hosts == nil {
		want.Hosts = []string{"*"}
	}
	if want.Paths == nil {
		want.Paths = []string{"/"}
	}
	if rows := d.rows(); len(rows) != 1 || fmt.Sprint(rows[0]) != fmt.Sprint(want) {
		t.Errorf("list has %+v, want %+v", rows, want)
	}
	for _, host := range want.Hosts {
		for _, path := range want.Paths {
			replayRequest(t, d, raw, i, strings.Replace(host, "*", "any.example", 1), path, tls)
		}
	}
}

// replayRequest asks for a page below a mount point.
func replayRequest(t *testing.T, d *daemon, raw *rawTarget, i invocation, host, prefix string, tls bool) {
	t.Helper()
	raw.take()
	path := strings.TrimSuffix(prefix, "/") + "/page"
	before := len(d.requests())
	head, body := ask(t, d, "GET "+path+"?a=1", host, "User-Agent: tester", "X-Forwarded-Proto: https")
	if tls {
		if at := field(head, "Location"); status(head) != "301" || fmt.Sprint(at) != "[https://"+host+path+"?a=1]" {
			t.Errorf("over http: %q, want a redirect to https", head)
		}
		return
	}
	if status(head) != "200" || body != "ok" {
		t.Errorf("GET %s of %s: %q %q", path, host, head, body)
	}
	seen := "/page"
	if slices.Equal(i.given("strip-path-prefix"), []string{"false"}) {
		seen = path
	}
	proto := "https" // what the proxy before us says, unless it is not to be believed
	if slices.Equal(i.given("forward-headers"), []string{"false"}) {
		proto = "http"
	}
	sent := raw.one(t)
	if !strings.HasPrefix(sent, "GET "+seen+"?a=1 HTTP/1.1\r\n") || fmt.Sprint(field(sent, "X-Forwarded-Proto")) != "["+proto+"]" {
		t.Errorf("the target was sent %q, want %s and X-Forwarded-Proto %s", sent, seen, proto)
	}
	var line map[string]any
	eventually(t, "the request is logged", func() error {
		all := d.requests()
		if len(all) <= before {
			return fmt.Errorf("no line")
		}
		line = all[len(all)-1]
		return nil
	})
	for side, names := range map[string][]string{"req_": i.given("log-request-header"), "resp_": i.given("log-response-header")} {
		for _, name := range names {
			key := side + strings.ReplaceAll(strings.ToLower(name), "-", "_")
			if _, there := line[key]; !there {
				t.Errorf("the log has no %s in %v", key, line)
			}
		}
	}
}

func replayOther(t *testing.T, d *daemon, i invocation) {
	t.Helper()
	order, service := i.args[0], i.args[1]
	if order == "resume" {
		d.must("stop", service)
	}
	d.must(i.args...)
	code, body := d.get("certain.example", "/")
	rows := d.rows()
	switch order {
	case "remove":
		if code != 404 || len(rows) != 0 {
			t.Errorf("after remove: %d, %+v", code, rows)
		}
		d.refused("service not found", i.args...)
	case "resume":
		if code != 200 || rows[0].State != "running" {
			t.Errorf("after resume: %d, %+v", code, rows)
		}
	case "stop":
		if code != 503 || rows[0].State != "stopped" || !strings.Contains(html.UnescapeString(body), i.message()) {
			t.Errorf("after stop: %d %q, %+v, want the message %q", code, body, rows, i.message())
		}
	default:
		t.Errorf("an order that is not looked at")
	}
}

// message is that of a stop, commas and all.
func (i invocation) message() string {
	for _, arg := range i.args {
		if text, found := strings.CutPrefix(arg, "--message="); found {
			return text
		}
	}
	return ""
}

func asciiHosts(t *testing.T, hosts []string) []string {
	t.Helper()
	for i, host := range hosts {
		ascii, err := idna.ToASCII(host)
		if err != nil {
			t.Fatal(err)
		}
		hosts[i] = ascii
	}
	return hosts
}

// What older Kamals say, and what must fail without harm.
func TestOddLinesOfKamals(t *testing.T) {
	d := startDaemon(t)
	a := startApp(t, "a")
	d.must("deploy", "app-web", "--target", a.target(), "--host", "a.example,b.example", "--buffer-requests=false", "--buffer-responses=false",
		"--buffer-memory=400000", "--max-request-body=40000000", "--max-response-body=40000000")
	for _, host := range []string{"a.example", "b.example"} {
		if _, body := d.get(host, "/"); body != "a" {
			t.Errorf("%s answers %q", host, body)
		}
	}
	before, _, _ := d.run("list")
	d.refused("unknown flag: --target", "remove", "app-web", "--target", a.target())
	d.refused("accepts 1 arg(s), received 2", "deploy", "app-web", "--target", a.target(), "--buffer-requests", "false")
	d.refused(":80 :invalid host pattern", "deploy", "app-web", "--target=:80")
	d.refused("unable to load error pages", "deploy", "app-web", "--target="+a.target(), "--error-pages=/home/kamal-proxy/.apps-config/app/error_pages/none")
	d.refused("unable to load certificate", "deploy", "app-web", "--target="+a.target(), "--host=a.example", "--tls",
		"--tls-certificate-path=/home/kamal-proxy/.apps-config/app/tls/cert.pem", "--tls-private-key-path=/home/kamal-proxy/.apps-config/app/tls/key.pem")
	d.refused("health-check-interval", "deploy", "app-web", "--target="+a.target(), "--health-check-interval=0s")
	if after, _, _ := d.run("list"); after != before {
		t.Errorf("list was\n%s\nand is\n%s", before, after)
	}
	// The ids of containers may be all digits: they are names.
	for _, target := range []string{"123:80", "123456789012:80", "0a1b2c3d4e5f:80"} {
		_, stderr, code := d.run("deploy", "ids", "--host", "ids.example", "--target="+target, "--deploy-timeout=0s")
		if code != 1 || !strings.Contains(stderr, "target failed to become healthy within configured timeout (0s)") {
			t.Errorf("%s: exit %d, %q, want a target that is not healthy", target, code, stderr)
		}
	}
}
