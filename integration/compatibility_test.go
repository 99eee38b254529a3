package integration

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// The pages may name no test that is not there: whoever renames one finds out.

func TestCompatibilityNamesTestsThatExist(t *testing.T) {
	if named := testsNamedOn(t, "../docs/compatibility.md"); named < 100 {
		t.Errorf("the page names %d tests", named)
	}
}

func TestGuaranteesNameTestsThatExist(t *testing.T) {
	const path = "../docs/guarantees.md"
	if named := testsNamedOn(t, path); named < 20 {
		t.Errorf("the page names %d tests", named)
	}
	page, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(page)) {
		cells := strings.Split(line, "|")
		if len(cells) == 5 && !strings.HasPrefix(line, "|---") && !strings.HasPrefix(line, "| promise |") && !aTest.MatchString(cells[2]) {
			t.Errorf("a promise names no test: %s", line)
		}
	}
}

var aTest = regexp.MustCompile("`(\\w+\\.Test\\w+)`")

// testsNamedOn counts the tests that a page names, and fails t for each that
// is not there.
func testsNamedOn(t *testing.T, path string) int {
	t.Helper()
	page, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	there := testsThatExist(t)
	named := aTest.FindAllStringSubmatch(string(page), -1)
	for _, m := range named {
		if !there[m[1]] {
			t.Errorf("%s is named, and is not there", m[1])
		}
	}
	return len(named)
}

// testsThatExist has all tests of the module and of those nested in it, by
// folder and name.
func testsThatExist(t *testing.T) map[string]bool {
	t.Helper()
	there := map[string]bool{}
	declared := regexp.MustCompile(`(?m)^func (Test\w+)\(`)
	err := filepath.WalkDir("..", func(path string, _ os.DirEntry, err error) error {
		if err != nil || !strings.HasSuffix(path, "_test.go") {
			return err
		}
		source, err := os.ReadFile(path)
		for _, m := range declared.FindAllStringSubmatch(string(source), -1) {
			there[filepath.Base(filepath.Dir(path))+"."+m[1]] = true
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return there
}
