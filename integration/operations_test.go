package integration

import (
	"regexp"
	"strings"
	"testing"
)

// The page of operations has each metric that is ours, and no other.
func TestMetricsAreOnThePage(t *testing.T) {
	_, section, _ := strings.Cut(read(t, "../docs/operations.md"), "\n## The metrics\n")
	section, _, _ = strings.Cut(section, "\n## ")
	page, said := map[string]bool{}, map[string]bool{}
	for _, m := range regexp.MustCompile("`(kamal_proxy_[a-z_]+)`").FindAllStringSubmatch(section, -1) {
		page[m[1]] = true
	}
	for _, m := range regexp.MustCompile(`"(kamal_proxy_[a-z_]+)"`).FindAllStringSubmatch(sources(t), -1) {
		said[m[1]] = true
		if !page[m[1]] {
			t.Errorf("%s is not on the page", m[1])
		}
	}
	for name := range page {
		if !said[name] {
			t.Errorf("%s is on the page, and no metric of ours", name)
		}
	}
}
