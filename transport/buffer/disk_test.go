package buffer

import (
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// victimDir makes the test's binary a process that keeps a body there until it
// is killed.
const victimDir = "BUFFER_TEST_VICTIM_DIR"

func beVictim(dir string) {
	s := newSpool(Limits{Dir: dir})
	s.Write(body(1 << 20))
	os.Stdout.WriteString("kept")
	select {}
}

func TestNothingIsLeftBehindByAProcessThatIsKilled(t *testing.T) {
	dir := t.TempDir()
	victim := exec.Command(os.Args[0])
	victim.Env = append(os.Environ(), victimDir+"="+dir)
	output, err := victim.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := victim.Start(); err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadFull(output, make([]byte, len("kept"))); err != nil {
		t.Error(err)
	}
	victim.Process.Kill()
	victim.Wait()
	mustBeEmpty(t, dir)
}

// Where files cannot be created without a name, they lose it at once.
func TestCreateAndRemove(t *testing.T) {
	dir := t.TempDir()
	s := newSpool(Limits{Dir: dir, create: createAndRemove})
	s.Write(body(100_000))
	mustBeEmpty(t, dir)
	mustRead(t, s.Reader(), body(100_000))
	if err := s.Close(); err != nil {
		t.Error(err)
	}
}

func TestCleanRemovesOnlyWhatIsOurs(t *testing.T) {
	dir := t.TempDir()
	stay := []string{"other", "kamal-proxy.state", tempPrefix + "link"}
	for _, name := range []string{"other", "kamal-proxy.state", tempPrefix + "1", tempPrefix + "2"} {
		os.WriteFile(filepath.Join(dir, name), []byte("x"), 0o600)
	}
	os.Mkdir(filepath.Join(dir, tempPrefix+"folder"), 0o700)
	os.Symlink(filepath.Join(dir, "other"), filepath.Join(dir, tempPrefix+"link"))
	if err := Clean(dir); err != nil {
		t.Fatal(err)
	}
	left, _ := os.ReadDir(dir)
	if len(left) != len(stay)+1 {
		t.Errorf("left are %v", left)
	}
	for _, name := range append(stay, tempPrefix+"folder") {
		if _, err := os.Lstat(filepath.Join(dir, name)); err != nil {
			t.Error(err)
		}
	}
}

func TestCleanTellsOfAFolderThatIsMissing(t *testing.T) {
	if err := Clean(filepath.Join(t.TempDir(), "missing")); err == nil {
		t.Error("no error")
	}
}
