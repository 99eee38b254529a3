package integration

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
)

func TestFailedUpgradeChangesNothingAndSaysWhy(t *testing.T) {
	d := startLineage(t)
	a, b := startApp(t, "a"), startApp(t, "b")
	d.must("deploy", "web", "--target", a.target())
	script := func(name, text string, mode os.FileMode) string {
		path := filepath.Join(d.home, name)
		if err := os.WriteFile(path, []byte(text), mode); err != nil {
			t.Fatal(err)
		}
		return path
	}
	answer := d.slow(t, a, "1s")
	for _, test := range []struct{ binary, says string }{
		{script("fails", "#!/bin/sh\necho one >&2\necho 'Error: no luck today' >&2\nexit 1\n", 0o755), "ended (exit status 1) before it was ready and said: no luck today"},
		{script("silent", "#!/bin/sh\nexit 3\n", 0o755), "ended (exit status 3) before it was ready and said nothing: is it a kamal-proxy?"},
		{script("forbidden", "#!/bin/sh\n", 0o644), "may not be executed"},
		{script("garbage", "\x7fELF nonsense", 0o755), "it is no program for this machine"},
		{script("uninterpreted", "#!/no/such/shell\n", 0o755), "the interpreter or loader that it names, is not there"},
		{filepath.Join(d.home, "nowhere"), "there is no program"},
		{d.home, "is a folder"},
	} {
		d.refused(test.says, "upgrade", "--binary", test.binary)
		d.refused("serves on as before", "upgrade", "--binary", test.binary)
	}
	d.must("deploy", "web", "--host", "b.example", "--target", b.target()) // it takes orders, as if nothing had happened
	if n := len(d.lineage()); n != 1 {
		t.Errorf("%d processes have served, want 1", n)
	}
	if status, body := d.get("b.example", "/"); status != 200 || body != "b" {
		t.Errorf("got %d, %q, want b", status, body)
	}
	d.upgrade()
	if body, err := answer(); err != nil || !strings.HasPrefix(body, "a") {
		t.Errorf("a request under way got %q, %v", body, err)
	}
}

func TestSuccessorThatCannotServeSaysWhy(t *testing.T) {
	d := startLineage(t)
	a := startApp(t, "a")
	d.must("deploy", "web", "--target", a.target())
	wrapper := filepath.Join(d.home, "wrapper")
	text := fmt.Sprintf("#!/bin/sh\nexec %s run --http-port 0 --https-port 0 --no-such-flag\n", program)
	if err := os.WriteFile(wrapper, []byte(text), 0o755); err != nil {
		t.Fatal(err)
	}
	d.refused("unknown flag: --no-such-flag", "upgrade", "--binary", wrapper)
	if status, _ := d.get("a.example", "/"); status != 200 {
		t.Errorf("got %d", status)
	}
	if err := os.WriteFile(wrapper, fmt.Appendf(nil, "#!/bin/sh\nexec %s \"$@\"\n", program), 0o755); err != nil {
		t.Fatal(err)
	}
	d.upgrade("--binary", wrapper)
}

func TestSuccessorThatHangsHoldsNothingUp(t *testing.T) {
	d := startLineage(t)
	a := startApp(t, "a")
	d.must("deploy", "web", "--target", a.target())
	hangs, note := filepath.Join(d.home, "hangs"), filepath.Join(d.home, "pid")
	if err := os.WriteFile(hangs, fmt.Appendf(nil, "#!/bin/sh\necho $$ > %s.new && mv %[1]s.new %[1]s\nexec sleep 1000\n", note), 0o755); err != nil {
		t.Fatal(err)
	}
	hung := func() (pid int) {
		eventually(t, "it starts", func() error {
			text, err := os.ReadFile(note)
			if err != nil {
				return err
			}
			pid, err = strconv.Atoi(strings.TrimSpace(string(text)))
			return err
		})
		os.Remove(note)
		return pid
	}
	said := make(chan string, 1)
	try := func() {
		_, stderr, code := d.run("upgrade", "--binary", hangs)
		said <- fmt.Sprintf("exit %d, %s", code, stderr)
	}
	go try()
	first := hung()
	if status, body := d.get("a.example", "/"); status != 200 || body != "a" {
		t.Errorf("got %d, %q", status, body)
	}
	if stdout, _, code := d.run("list"); code != 0 || !strings.Contains(stdout, "web") {
		t.Errorf("list: exit %d, %s", code, stdout)
	}
	ordered := make(chan struct{})
	go func() {
		defer close(ordered)
		d.must("stop", "web")
	}()
	syscall.Kill(first, syscall.SIGKILL)
	if got := <-said; !strings.HasPrefix(got, "exit 1") || !strings.Contains(got, "signal: killed") {
		t.Errorf("upgrade: %s", got)
	}
	within(t, "an order that came meanwhile is carried out", ordered)

	go try()
	second := hung()
	d.stop()
	if got := <-said; !strings.HasPrefix(got, "exit 1") || !strings.Contains(got, "it is ending") {
		t.Errorf("upgrade: %s", got)
	}
	awaitEnd(t, second)
}
