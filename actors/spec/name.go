package spec

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

const maxName = 255 // bytes

// ValidName says why name cannot be a service's name.
func ValidName(name string) error {
	switch {
	case strings.TrimSpace(name) == "":
		return errors.New("the service has no name: give it one")
	case len(name) > maxName:
		return fmt.Errorf("the service's name is longer than %d bytes: give it a shorter one", maxName)
	case !printable(name):
		return fmt.Errorf("the service's name %q has characters that cannot be printed: give it another", name)
	}
	return nil
}

// NormalizePathPrefix returns the form in which a mount point is kept and
// compared: one slash at its front and none at its end. Nothing is the root.
func NormalizePathPrefix(prefix string) (string, error) {
	path := strings.Trim(strings.TrimSpace(prefix), "/")
	if !printable(path) || strings.ContainsAny(path, "?# ") {
		return "", fmt.Errorf("path prefix %q has characters that a path cannot have: blanks, ? and # are written as %%20, %%3F and %%23", prefix)
	}
	return "/" + path, nil
}

// printable reports whether s is UTF-8 without control characters.
func printable(s string) bool {
	return utf8.ValidString(s) && !strings.ContainsFunc(s, unicode.IsControl)
}

// unique drops from list what came before, as same tells it.
func unique(list []string, same func(a, b string) bool) []string {
	kept := make([]string, 0, len(list))
	for _, s := range list {
		if !slices.ContainsFunc(kept, func(k string) bool { return same(k, s) }) {
			kept = append(kept, s)
		}
	}
	return kept
}
