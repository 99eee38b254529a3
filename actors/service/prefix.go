package service

import "strings"

// stripPrefix returns path as a target sees it; nothing is decoded.
func stripPrefix(path, prefix string) string {
	rest := strings.TrimPrefix(path, prefix)
	if rest == "" || rest[0] != '/' {
		return "/" + rest
	}
	return rest
}

// pathOnly returns a health check's path without its query.
func pathOnly(target string) string {
	path, _, _ := strings.Cut(target, "?")
	return path
}
