package integration

import (
	"io/fs"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// Whoever searches the README for a message finds it as it is: its rows have
// messages that the program still says.
func TestTroubleshootingHasMessagesThatAreSaid(t *testing.T) {
	said := sources(t)
	_, section, _ := strings.Cut(read(t, "../README.md"), "\n## Troubleshooting\n")
	section, _, _ = strings.Cut(section, "\n## ")
	messages := 0
	for line := range strings.Lines(section) {
		cells := strings.Split(line, "|")
		if len(cells) < 4 {
			continue
		}
		for _, m := range aMessage.FindAllStringSubmatch(cells[1], -1) {
			for _, words := range varies.Split(m[1], -1) {
				if words = strings.Trim(words, " :;"); len(words) < 8 {
					continue
				}
				messages++
				if !strings.Contains(said, words) {
					t.Errorf("nothing says %q any more", words)
				}
			}
		}
	}
	if messages < 20 {
		t.Errorf("there are only %d messages: this test shows nothing", messages)
	}
}

var (
	aMessage = regexp.MustCompile("`([^`-][^`]+ [^`]+)`")
	varies   = regexp.MustCompile(`…|\(30s\)|Warning: |round-robin or least`)
)

// sources are all that the program is made of.
func sources(t *testing.T) string {
	t.Helper()
	var all strings.Builder
	take := func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
			return err
		}
		all.WriteString(read(t, path))
		return nil
	}
	for _, dir := range []string{"../actors", "../cli", "../transport"} {
		if err := filepath.WalkDir(dir, take); err != nil {
			t.Fatal(err)
		}
	}
	ours, err := filepath.Glob("../*.go")
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range ours {
		if !strings.HasSuffix(path, "_test.go") {
			all.WriteString(read(t, path))
		}
	}
	return all.String()
}
