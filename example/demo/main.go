// Demo shows what kamal-proxy is for: it starts the proxy and a small app,
// deploys the app's next version under load, and counts what was lost. It
// leaves everything running for you to try the commands on.
package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"time"
)

func main() {
	var err error
	switch {
	case len(os.Args) == 4 && os.Args[1] == "app":
		err = serveApp(os.Args[2], os.Args[3])
	case len(os.Args) == 2 && os.Args[1] == "stop":
		err = stopPrevious(home())
	case len(os.Args) == 1:
		err = show(os.Stdout)
	default:
		err = fmt.Errorf("it knows no %q: bin/demo shows the proxy, bin/demo stop ends it", os.Args[1:])
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "demo:", err)
		os.Exit(1)
	}
}

// home is where the demo keeps its state and logs: in the working directory,
// away from a real installation's.
func home() string {
	dir, err := filepath.Abs(".demo")
	if err != nil {
		return ".demo"
	}
	return dir
}

const (
	loadConnections = 32
	loadBefore      = time.Second
	loadAfter       = time.Second
)

func show(out io.Writer) error {
	binary, err := filepath.Abs("bin/kamal-proxy")
	if err != nil {
		return err
	}
	if _, err := os.Stat(binary); err != nil {
		return errors.New("bin/kamal-proxy is missing, build it with: make")
	}
	if err := stopPrevious(home()); err != nil {
		return err
	}
	stage, err := newStage(home(), binary)
	if err != nil {
		return err
	}
	if err := play(stage, out); err != nil {
		stage.end()
		return err
	}
	stage.tell(out)
	return nil
}

// play is the demonstration itself.
func play(s *stage, out io.Writer) error {
	if err := s.startProxy(); err != nil {
		return err
	}
	fmt.Fprintf(out, "kamal-proxy runs on %s\n", s.url())
	for _, version := range []string{"v1", "v2"} {
		if err := s.startApp(version); err != nil {
			return err
		}
	}
	if err := s.deploy(out, "v1"); err != nil {
		return err
	}

	fmt.Fprintf(out, "\nLoad: %d connections, as fast as they can\n", loadConnections)
	load := startLoad(s.url(), loadConnections)
	load.runFor(loadBefore)
	began := time.Now()
	err := s.deploy(out, "v2")
	took := time.Since(began)
	load.runFor(loadAfter)
	result := load.stop()
	if err != nil {
		return err
	}
	result.print(out, began, took)
	if result.lost > 0 {
		return fmt.Errorf("%d requests were lost, the first because: %w", result.lost, result.firstLoss)
	}
	return nil
}

// command runs kamal-proxy as a person would.
func (s *stage) command(args ...string) *exec.Cmd {
	cmd := exec.Command(s.binary, args...)
	cmd.Env = s.environment()
	return cmd
}
