package buffer

import (
	"os"
	"path/filepath"
	"testing"
)

// Where files cannot be created without a name, they lose it at once.
func TestCreateAndRemove(t *testing.T) {
	dir := t.TempDir()
	s := NewSpool(Limits{Dir: dir, create: createAndRemove})
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
