package integration

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"unicode"
)

// Links from one page to another lead to a file that is there, and to a heading
// that it has.
func TestLinksLeadSomewhere(t *testing.T) {
	links := 0
	for _, page := range pages(t) {
		for _, m := range aLink.FindAllStringSubmatch(read(t, page), -1) {
			if strings.Contains(m[1], "://") {
				continue
			}
			links++
			path, anchor, _ := strings.Cut(m[1], "#")
			to := page
			if path != "" {
				to = filepath.Join(filepath.Dir(page), path)
			}
			if _, err := os.Stat(to); err != nil {
				t.Errorf("%s links to %s, which is not there", page, m[1])
				continue
			}
			if anchor != "" && !anchors(t, to)[anchor] {
				t.Errorf("%s links to %s, which has no such heading", page, m[1])
			}
		}
	}
	if links < 15 {
		t.Errorf("there are only %d links: this test shows nothing", links)
	}
}

// Decisions are numbered without gaps, and those that others name are there.
func TestDecisionsAreNumbered(t *testing.T) {
	files, err := filepath.Glob("../docs/decisions/*.md")
	if err != nil {
		t.Fatal(err)
	}
	for i, file := range files {
		var number int
		for _, digit := range filepath.Base(file)[:4] {
			number = number*10 + int(digit-'0')
		}
		if number != i+1 {
			t.Errorf("%s comes as number %d", filepath.Base(file), i+1)
		}
		title := regexp.MustCompile(`^# (\d+)\. `).FindStringSubmatch(read(t, file))
		if title == nil || strings.TrimLeft(filepath.Base(file)[:4], "0") != title[1] {
			t.Errorf("%s has another number in its title", filepath.Base(file))
		}
	}
	for _, page := range pages(t) {
		for _, m := range regexp.MustCompile(`docs/decisions/(\d{4})`).FindAllStringSubmatch(read(t, page), -1) {
			if there, _ := filepath.Glob("../docs/decisions/" + m[1] + "-*.md"); len(there) != 1 {
				t.Errorf("%s names decision %s, of which there are %d", page, m[1], len(there))
			}
		}
	}
}

var (
	aLink    = regexp.MustCompile(`\]\(([^)\s]+)\)`)
	aHeading = regexp.MustCompile(`(?m)^#+ (.+)$`)
)

// pages are all that people read.
func pages(t *testing.T) []string {
	t.Helper()
	var all []string
	for _, pattern := range []string{"../*.md", "../docs/*.md", "../docs/*/*.md", "../example/*.md"} {
		found, err := filepath.Glob(pattern)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, found...)
	}
	return all
}

func read(t *testing.T, path string) string {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// anchors are the names of a page's headings, as GitHub makes them.
func anchors(t *testing.T, page string) map[string]bool {
	t.Helper()
	names := map[string]bool{}
	for _, m := range aHeading.FindAllStringSubmatch(read(t, page), -1) {
		names[strings.Map(func(r rune) rune {
			switch {
			case r == ' ':
				return '-'
			case unicode.IsLetter(r), unicode.IsDigit(r), r == '-', r == '_':
				return unicode.ToLower(r)
			}
			return -1
		}, m[1])] = true
	}
	return names
}
