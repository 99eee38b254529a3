package integration

import (
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// Two users that own nothing.
const (
	somebody = 61001
	stranger = 61002
)

// as runs the program as a user, in a folder for its socket, and returns what it
// said. Only root can do that.
func as(t *testing.T, uid uint32, socket string, args ...string) (said string, code int) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	cmd := exec.CommandContext(ctx, program, args...)
	cmd.Env = []string{"HOME=" + filepath.Dir(socket), "KAMAL_PROXY_SOCKET=" + socket}
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: uid, Gid: uid}, Pdeathsig: syscall.SIGKILL}
	out, _ := cmd.CombinedOutput()
	return string(out), cmd.ProcessState.ExitCode()
}

func onlyRoot(t *testing.T) {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("only root can be somebody else")
	}
	if err := os.Chmod(filepath.Dir(program), 0o711); err != nil {
		t.Fatal(err)
	}
}

// sharedFolder is one like /tmp, but for what mode leaves out.
func sharedFolder(t *testing.T, mode os.FileMode) string {
	t.Helper()
	dir := shortTempDir(t)
	if err := os.Chmod(dir, mode); err != nil {
		t.Fatal(err)
	}
	return dir
}

func TestOtherUsersCannotCommand(t *testing.T) {
	onlyRoot(t)
	d := startDaemon(t)
	socket := filepath.Join(d.home, "kamal-proxy.sock")
	if err := os.Chmod(d.home, 0o755); err != nil {
		t.Fatal(err)
	}
	if said, code := as(t, stranger, socket, "list"); code != 1 || !strings.Contains(said, "permission denied: the control socket") {
		t.Errorf("a stranger: exit %d, %q", code, said)
	}
	if err := os.Chmod(socket, 0o666); err != nil { // the mode is not all that keeps others out
		t.Fatal(err)
	}
	if said, code := as(t, stranger, socket, "list"); code != 1 || !strings.HasPrefix(said, "Error: ") {
		t.Errorf("a stranger who may open the socket: exit %d, %q", code, said)
	}
	eventually(t, "the daemon tells", func() error {
		if !strings.Contains(d.log.String(), "Control connection of another user was closed") {
			return fmt.Errorf("no line about it")
		}
		return nil
	})
	d.must("deploy", "web", "--target", startApp(t, "a").target()) // root is let in
}

func TestRootAndTheOwnerMayCommand(t *testing.T) {
	onlyRoot(t)
	d := &daemon{t: t, home: shortTempDir(t)}
	if err := os.Chown(d.home, somebody, somebody); err != nil {
		t.Fatal(err)
	}
	d.as = somebody
	d.start()
	t.Cleanup(d.stop)
	socket := filepath.Join(d.home, "kamal-proxy.sock")
	if said, code := as(t, somebody, socket, "list"); code != 0 {
		t.Errorf("the owner: exit %d, %q", code, said)
	}
	if said, code := as(t, 0, socket, "list"); code != 0 {
		t.Errorf("root: exit %d, %q", code, said)
	}

	// Whoever finds another user's daemon in the place of its own tells it nothing.
	if err := os.Chmod(d.home, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(socket, 0o666); err != nil {
		t.Fatal(err)
	}
	if said, code := as(t, stranger, socket, "list"); code != 1 || !strings.Contains(said, fmt.Sprintf("runs as another user (uid %d)", somebody)) {
		t.Errorf("a stranger: exit %d, %q", code, said)
	}
}

func TestSocketOfAnotherUserIsNotTakenOver(t *testing.T) {
	onlyRoot(t)
	for _, mode := range []os.FileMode{0o777, 0o777 | os.ModeSticky} {
		socket := filepath.Join(sharedFolder(t, mode), "s")
		l, err := net.ListenUnix("unix", &net.UnixAddr{Name: socket, Net: "unix"})
		if err != nil {
			t.Fatal(err)
		}
		l.SetUnlinkOnClose(false)
		l.Close()
		if err := os.Chown(socket, somebody, somebody); err != nil {
			t.Fatal(err)
		}
		if err := os.Chmod(socket, 0o666); err != nil {
			t.Fatal(err)
		}
		before, _ := os.Lstat(socket)
		said, code := as(t, stranger, socket, "run", "--http-port", "0", "--https-port", "0")
		if code != 1 || !strings.Contains(said, "it belongs to another user") {
			t.Errorf("%s: exit %d, %q", mode, code, said)
		}
		if after, err := os.Lstat(socket); err != nil || !os.SameFile(before, after) {
			t.Errorf("%s: the socket was taken away (%v)", mode, err)
		}
	}
}

func TestPlantedLinksAreNotFollowed(t *testing.T) {
	for _, there := range []bool{true, false} {
		dir := shortTempDir(t)
		socket, victim := filepath.Join(dir, "s"), filepath.Join(dir, "victim")
		if there {
			if err := os.WriteFile(victim, []byte("mine"), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		if err := os.Symlink(victim, socket); err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), patience)
		defer cancel()
		cmd := exec.CommandContext(ctx, program, "run", "--http-port", "0", "--https-port", "0")
		cmd.Env = []string{"HOME=" + dir, "KAMAL_PROXY_SOCKET=" + socket}
		said, err := cmd.CombinedOutput()
		if err == nil || !strings.Contains(string(said), "not a socket") {
			t.Errorf("a link, to a file %t: %v, %s", there, err, said)
		}
		if text, err := os.ReadFile(victim); there && (err != nil || string(text) != "mine") || !there && err == nil {
			t.Errorf("what the link points to is %q, %v", text, err)
		}
		if to, err := os.Readlink(socket); err != nil || to != victim {
			t.Errorf("the link is %q, %v", to, err)
		}
	}
}

// Nothing that the daemon keeps can be read by others, whatever the umask is.
func TestFilesAreForTheirOwnerAlone(t *testing.T) {
	defer syscall.Umask(syscall.Umask(0)) // daemons inherit it
	d := startDaemon(t)
	a := startApp(t, "a")
	cert, key, _ := certificate(t, t.TempDir(), "s.example")
	d.must("deploy", "web", "--target", a.target())
	d.must("deploy", "safe", "--target", a.target(), "--host", "s.example", "--tls", "--tls-certificate-path", cert, "--tls-private-key-path", key)
	d.must("stop", "web")
	d.run("deploy", "six", "--target", "[::1]:1", "--host", "six.example", "--force") // is kept beside upstream's file
	found := 0
	err := filepath.WalkDir(filepath.Join(d.home, ".config"), func(path string, e os.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := e.Info()
		if err != nil {
			return err
		}
		found++
		if info.Mode().Perm()&0o077 != 0 && e.Name() != ".config" {
			t.Errorf("%s has mode %s", path, info.Mode())
		}
		return nil
	})
	if err != nil || found < 5 {
		t.Errorf("%d files and folders were found, %v", found, err)
	}
	if strings.Contains(d.log.String(), "can be written to by other users") {
		t.Error("its own folder is complained about")
	}
	d.stop()
	if err := os.Chmod(filepath.Join(d.home, ".config", "kamal-proxy"), 0o777); err != nil {
		t.Fatal(err)
	}
	d.start()
	if !strings.Contains(d.log.String(), "can be written to by other users") {
		t.Error("a data folder that all can write to is not complained about")
	}
}
