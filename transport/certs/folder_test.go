package certs

import (
	"context"
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/rs/zerolog"
)

// Keys are for their owner alone, whatever the umask is.
func TestKeptKeysAreForTheirOwnerAlone(t *testing.T) {
	defer syscall.Umask(syscall.Umask(0))
	dir := filepath.Join(t.TempDir(), "certs", "authority")
	f := newFolder(dir, zerolog.Nop())
	for _, name := range []string{"acme_account+key", "a.example.com", "a.example.com+http-01"} {
		if err := f.Put(context.Background(), name, []byte("secret")); err != nil {
			t.Fatal(err)
		}
	}
	for path, want := range map[string]os.FileMode{
		dir: 0o700, filepath.Dir(dir): 0o700,
		filepath.Join(dir, "acme_account+key"): 0o600, filepath.Join(dir, "a.example.com"): 0o600, filepath.Join(dir, "a.example.com+http-01"): 0o600,
	} {
		info, err := os.Stat(path)
		if err != nil || info.Mode().Perm() != want {
			t.Errorf("%s: %v, %v, want %s", path, info.Mode(), err, want)
		}
	}
}
