package accesslog

import (
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// The page of operations has the line's fields, in their order.
func TestTheLineIsOnThePage(t *testing.T) {
	page, err := os.ReadFile("../../docs/operations.md")
	if err != nil {
		t.Fatal(err)
	}
	_, table, _ := strings.Cut(string(page), "\n## The log\n")
	table, _, _ = strings.Cut(table, "\n## ")
	var names []string
	for row := range strings.Lines(table) {
		if cells := strings.Split(row, "|"); len(cells) > 2 {
			for _, m := range regexp.MustCompile("`([a-z_]+)`").FindAllStringSubmatch(cells[1], -1) {
				names = append(names, m[1])
			}
		}
	}
	e := entry()
	e.Retries, e.Headers = 1, nil
	line := written(t, func(l *Logger) { l.Log(e) })
	var fields []string
	for _, m := range regexp.MustCompile(`"([a-z_]+)":`).FindAllStringSubmatch(line, -1) {
		fields = append(fields, m[1])
	}
	if !slices.Equal(names, fields) {
		t.Errorf("the page has %q\nthe line %q", names, fields)
	}
}
