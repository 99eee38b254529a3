package integration

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// container runs an image's tree as an engine would: in that root, as the
// image's user, with its environment alone, the first process as number 1, in
// a network of its own. Without the rights for that it comes as near as it can
// and says what was left out.
type container struct {
	t        *testing.T
	tree     string
	config   config
	uid, gid int
	confined bool     // to the tree, as the user
	network  *network // nil: the machine's own
	cmd      *exec.Cmd
	log      *logBuffer
	exited   chan struct{}
	port     int
}

func newContainer(t *testing.T, tree string, c config) *container {
	t.Helper()
	box := &container{t: t, tree: tree, config: c, confined: os.Geteuid() == 0}
	box.uid, box.gid = box.lookUser(c.user)
	t.Log("NOT CHECKED: what the base image brings (sh, /tmp with mode 1777, real certificates)")
	if !box.confined {
		t.Log("NOT CHECKED, for want of root: the root folder, the user and the owners of files, ports 80 and 443, process number 1")
		return box
	}
	var err error
	if box.network, err = newNetwork(t); err != nil {
		t.Logf("NOT CHECKED, for want of a network of its own (%v): ports 80 and 443, process number 1", err)
	}
	return box
}

// lookUser finds USER's numbers as an engine does, in the image's own files.
func (b *container) lookUser(names string) (uid, gid int) {
	b.t.Helper()
	user, group, _ := strings.Cut(names, ":")
	return b.number("etc/passwd", user), b.number("etc/group", group)
}

func (b *container) number(file, name string) int {
	b.t.Helper()
	data, err := os.ReadFile(filepath.Join(b.tree, file))
	if err != nil {
		b.t.Fatal(err)
	}
	for line := range strings.Lines(string(data)) {
		if fields := strings.Split(line, ":"); len(fields) > 2 && fields[0] == name {
			n, err := strconv.Atoi(fields[2])
			if err != nil {
				b.t.Fatalf("%s: %v", file, err)
			}
			return n
		}
	}
	b.t.Fatalf("%s has no %q", file, name)
	return 0
}

// command is one that runs inside; its program is looked for as an engine does.
func (b *container) command(args ...string) *exec.Cmd {
	b.t.Helper()
	program, root := "", b.tree
	for _, folder := range strings.Split(standardPath, ":") {
		if info, err := os.Stat(filepath.Join(b.tree, folder, args[0])); err == nil && info.Mode()&0o111 != 0 {
			program = filepath.Join(folder, args[0])
			break
		}
	}
	if program == "" {
		b.t.Fatalf("the image has no program %s on its PATH", args[0])
	}
	cmd := &exec.Cmd{Path: program, Args: args, Dir: "/", SysProcAttr: &syscall.SysProcAttr{}}
	cmd.Env = []string{"PATH=" + standardPath}
	if b.confined {
		root = ""
		cmd.SysProcAttr.Chroot = b.tree
		cmd.SysProcAttr.Credential = &syscall.Credential{Uid: uint32(b.uid), Gid: uint32(b.gid)}
	} else {
		cmd.Path = filepath.Join(b.tree, program)
		cmd.Env = append(cmd.Env, "TMPDIR="+filepath.Join(b.tree, "tmp"))
	}
	for name, value := range b.config.env {
		if strings.HasPrefix(value, "/") {
			value = root + value
		}
		cmd.Env = append(cmd.Env, name+"="+value)
	}
	if b.network == nil {
		cmd.Env = append(cmd.Env, "HTTP_PORT=0", "HTTPS_PORT=0")
	}
	return cmd
}

// standardPath is what an engine sets, and Alpine does not change.
const standardPath = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

// start runs the image's CMD until it serves.
func (b *container) start() {
	b.t.Helper()
	b.cmd, b.log, b.exited = b.command(b.config.cmd...), &logBuffer{}, make(chan struct{})
	b.cmd.Stdout, b.cmd.Stderr = b.log, b.log
	b.cmd.SysProcAttr.Pdeathsig = syscall.SIGKILL
	if b.network != nil {
		b.cmd.SysProcAttr.Cloneflags = syscall.CLONE_NEWPID
	}
	var err error
	b.network.do(func() { err = b.cmd.Start() })
	if err != nil {
		b.t.Fatalf("CMD does not start: %v", err)
	}
	go func(cmd *exec.Cmd, exited chan struct{}) {
		cmd.Wait()
		close(exited)
	}(b.cmd, b.exited)
	b.t.Cleanup(func() { b.end(syscall.SIGKILL) })
	eventually(b.t, "the proxy starts", b.served)
}

func (b *container) served() error {
	for _, line := range b.log.lines() {
		var started struct {
			Msg         string
			HTTP, HTTPS int
		}
		if json.Unmarshal([]byte(line), &started) != nil || started.Msg != "Server started" {
			continue
		}
		b.port = started.HTTP
		if b.network != nil && (started.HTTP != 80 || started.HTTPS != 443) {
			b.t.Errorf("it serves on %d and %d, want 80 and 443", started.HTTP, started.HTTPS)
		}
		return nil
	}
	select {
	case <-b.exited:
		b.t.Fatalf("the proxy has ended:\n%s", b.log)
	default:
	}
	return fmt.Errorf("no start line in:\n%s", b.log)
}

// end signals the first process, and returns how long it took to end, but for the
// time in which the machine stood still.
func (b *container) end(s syscall.Signal) time.Duration {
	b.t.Helper()
	began := time.Now()
	b.cmd.Process.Signal(s)
	select {
	case <-b.exited:
	case <-time.After(patience):
		b.cmd.Process.Kill()
		<-b.exited
	}
	return awake(began)
}

// exec runs a command that has to succeed, as `docker exec` does.
func (b *container) exec(args ...string) (stdout string) {
	b.t.Helper()
	cmd := b.command(args...)
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	if err := cmd.Run(); err != nil || errs.Len() > 0 {
		b.t.Fatalf("%s: %v, stderr %q, want success", strings.Join(args, " "), err, errs.String())
	}
	return out.String()
}
