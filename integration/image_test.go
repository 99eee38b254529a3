package integration

import (
	"debug/elf"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"
)

// What Kamal, and volumes that are in use, count on.
func TestDockerfileKeepsToKamal(t *testing.T) {
	stages := readDockerfile(t)
	c, err := configOf(stages, map[string]string{"VERSION": "v7.7.7"})
	if err != nil {
		t.Fatalf("Dockerfile: %v", err)
	}
	slices.Sort(c.exposed)
	for _, fact := range []struct{ what, got, want string }{
		{"CMD", fmt.Sprint(c.cmd), "[kamal-proxy run]"},
		{"USER", c.user, "kamal-proxy:kamal-proxy"},
		{"EXPOSE", fmt.Sprint(c.exposed), "[443 443/udp 80]"},
		{"HOME", c.env["HOME"], "/home/kamal-proxy"},
		{"the title", c.labels["org.opencontainers.image.title"], "kamal-proxy"},
		{"the version", c.labels["org.opencontainers.image.version"], "v7.7.7"},
	} {
		if fact.got != fact.want {
			t.Errorf("%s is %q, want %q", fact.what, fact.got, fact.want)
		}
	}
	for _, s := range lineage(stages) {
		for _, i := range s.instructions {
			if i.name == "RUN" || i.name == "WORKDIR" {
				t.Errorf("line %d: %s in the image itself: it is built for platforms that the builder cannot run, and commands start in /", i.line, i.name)
			}
		}
	}
}

func TestDockerfileRefusesWhatKamalCannotUse(t *testing.T) {
	for _, text := range []string{
		"FROM alpine\nENTRYPOINT [\"kamal-proxy\"]\n",
		"FROM alpine\nHEALTHCHECK CMD true\n",
		"CMD [\"kamal-proxy\"]\nFROM alpine\n",
	} {
		if _, err := parseDockerfile(text); err == nil {
			t.Errorf("%q is taken", text)
		}
	}
}

func TestMakeDockerTakesTheTagsThatKamalReads(t *testing.T) {
	makeProgram := peer(t, "make")
	build := func(args ...string) (string, error) {
		cmd := exec.Command(makeProgram, append([]string{"-s", "-C", "..", "docker", "DOCKER=echo"}, args...)...)
		out, err := cmd.CombinedOutput()
		return string(out), err
	}
	for _, tag := range []string{"v0.9.2", "0.9.2", "v0.9.2.1", "v0.10.0", "v1.0.0", "v9", "2026.01"} {
		if out, err := build("TAG=" + tag); err != nil || !strings.Contains(out, "--tag kamal-proxy:"+tag+" ") {
			t.Errorf("TAG=%s: %v, %q, want it built", tag, err, out)
		}
	}
	for _, tag := range []string{"v0.9.1", "0.9", "v0.9.2-1", "v0.9.2+build1", "latest", "5b1f6b5", ""} {
		if out, err := build("TAG=" + tag); err == nil || !strings.Contains(out, "Kamal would not take the tag") {
			t.Errorf("TAG=%s: %v, %q, want it refused", tag, err, out)
		}
	}
	if out, err := build(); err != nil {
		t.Errorf("without TAG: %v, %q", err, out)
	}
}

func TestImageIsBuiltForBothPlatforms(t *testing.T) {
	machines := map[string]elf.Machine{"amd64": elf.EM_X86_64, "arm64": elf.EM_AARCH64}
	for arch, machine := range machines {
		if arch != runtime.GOARCH && os.Getenv("KAMAL_PROXY_PEERS") == "" {
			t.Logf("%s is not built: that takes long; make image-check does", arch)
			continue
		}
		tree, _ := buildImage(t, "v7.7.7", arch)
		binary, err := elf.Open(filepath.Join(tree, "usr/local/bin/kamal-proxy"))
		if err != nil {
			t.Fatal(err)
		}
		defer binary.Close()
		if binary.Machine != machine {
			t.Errorf("%s: the binary is for %v", arch, binary.Machine)
		}
		for _, p := range binary.Progs {
			if p.Type == elf.PT_INTERP {
				t.Errorf("%s: the binary is not static", arch)
			}
		}
	}
}

func TestImageRuns(t *testing.T) {
	tree, config := buildImage(t, "v7.7.7", runtime.GOARCH)
	box := newContainer(t, tree, config)
	if box.uid != 1001 || box.gid != 1001 {
		t.Errorf("the user is %d:%d, want 1001:1001", box.uid, box.gid)
	}
	const data = "home/kamal-proxy/.config/kamal-proxy"
	box.has("home/kamal-proxy", fs.ModeDir|0o755, 1001)
	box.has(data, fs.ModeDir|0o700, 1001)
	box.has("usr/local/bin/kamal-proxy", 0o755, 0)
	box.has("etc/passwd", 0o644, 0)
	if ca, _ := os.ReadFile(filepath.Join(tree, "etc/ssl/certs/ca-certificates.crt")); string(ca) != certificates {
		t.Errorf("the certificates are %q, want those of the Go image", ca)
	}

	box.start()
	if !strings.Contains(box.log.String(), "No previous state to restore") {
		t.Error("the log of a fresh container does not say: No previous state to restore")
	}
	if out := box.exec("kamal-proxy", "--version"); out != "v7.7.7\n" {
		t.Errorf("the version is %q, want that of the build argument", out)
	}
	if out := box.exec("kamal-proxy", "deploy", "web", "--target", box.startApp("here")); out != "" {
		t.Errorf("deploy says %q, want silence", out)
	}
	box.answers("here")
	box.has(data, fs.ModeDir|0o700, 1001)
	box.has(data+"/kamal-proxy.state", 0o600, 1001)
	box.has("tmp/kamal-proxy.sock", fs.ModeSocket|0o600, 1001)

	box.end(syscall.SIGKILL)
	box.start() // as `docker start` does, with the old socket still there
	box.answers("here")

	if took := box.end(syscall.SIGTERM); took > 10*time.Second {
		t.Errorf("it took %s to end, and Docker kills after 10 s", took)
	}
	if code := box.cmd.ProcessState.ExitCode(); code != 0 {
		t.Errorf("it ended with %d after SIGTERM, want 0:\n%s", code, box.log)
	}
	if _, err := os.Lstat(filepath.Join(tree, "tmp/kamal-proxy.sock")); err == nil {
		t.Error("the socket is left behind")
	}
}

// has checks a file's mode and, where that can be, its owner.
func (b *container) has(name string, mode fs.FileMode, owner uint32) {
	b.t.Helper()
	info, err := os.Lstat(filepath.Join(b.tree, name))
	if err != nil {
		b.t.Error(err)
		return
	}
	if info.Mode() != mode {
		b.t.Errorf("/%s has the mode %v, want %v", name, info.Mode(), mode)
	}
	stat := info.Sys().(*syscall.Stat_t)
	if b.confined && (stat.Uid != owner || stat.Gid != owner) {
		b.t.Errorf("/%s belongs to %d:%d, want %d", name, stat.Uid, stat.Gid, owner)
	}
}

// startApp starts a target in the container's network.
func (b *container) startApp(answer string) (target string) {
	b.t.Helper()
	l, err := b.network.listen("127.0.0.1:0")
	if err != nil {
		b.t.Fatal(err)
	}
	app := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, answer) }))
	app.Listener.Close()
	app.Listener = l
	app.Start()
	b.t.Cleanup(app.Close)
	return l.Addr().String()
}

func (b *container) answers(want string) {
	b.t.Helper()
	response, err := b.network.client().Get(fmt.Sprintf("http://127.0.0.1:%d/", b.port))
	if err != nil {
		b.t.Errorf("the proxy does not answer: %v", err)
		return
	}
	defer response.Body.Close()
	if body, _ := io.ReadAll(response.Body); response.StatusCode != http.StatusOK || string(body) != want {
		b.t.Errorf("the proxy answers %d %q, want 200 %q", response.StatusCode, body, want)
	}
}
