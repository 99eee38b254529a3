package buffer

import (
	"bytes"
	"math/rand/v2"
	"os"
	"testing"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) {
	if dir := os.Getenv(victimDir); dir != "" {
		beVictim(dir)
	}
	goleak.VerifyTestMain(m)
}

// sizes are those around every boundary of bodies kept with 1 MiB of memory.
var sizes = []int{
	0, 1, smallChunk - 1, smallChunk, smallChunk + 1, mediumChunk - 1, mediumChunk, mediumChunk + 1,
	largeChunk - 1, largeChunk, largeChunk + 1, mediumChunk + largeChunk - 1, mediumChunk + largeChunk, mediumChunk + largeChunk + 1,
	1<<20 - 1, 1 << 20, 1<<20 + 1, 1<<20 + largeChunk, 10 << 20,
}

// body returns n bytes whose order matters.
func body(n int) []byte {
	p := make([]byte, n)
	source := rand.NewChaCha8([32]byte{1})
	source.Read(p)
	return p
}

func limits(t testing.TB) Limits { return Limits{Memory: 1 << 20, Dir: t.TempDir()} }

// mustEqual compares without printing megabytes.
func mustEqual(t *testing.T, what string, got, want []byte) {
	t.Helper()
	if bytes.Equal(got, want) {
		return
	}
	i := 0
	for i < len(got) && i < len(want) && got[i] == want[i] {
		i++
	}
	t.Fatalf("%s: got %d bytes, want %d; they differ from byte %d on", what, len(got), len(want), i)
}

// mustBeEmpty fails if there is anything in a folder.
func mustBeEmpty(t *testing.T, dir string) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, entry := range entries {
		t.Errorf("a temporary file can be seen: %s", entry.Name())
	}
}

// openFiles counts this process's file descriptors.
func openFiles(t *testing.T) int {
	t.Helper()
	entries, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Skip("the system does not tell which files are open: ", err)
	}
	return len(entries)
}

// fullDisk creates files that have no room: no space left on device.
func fullDisk(string) (*os.File, error) { return os.OpenFile("/dev/full", os.O_RDWR, 0) }
