package proxy

import (
	"strings"

	"kamal-proxy/transport/exchange"
)

// strip takes the service's path prefix off the request's target.
func (v *visit) strip() { strip(v.request, v.verdict.Prefix) }

// strip takes a path prefix off a request's target. Nothing is decoded, and the
// query stays as it came, be it only a "?".
func strip(r *exchange.Request, prefix string) {
	path := stripped(r.Path, prefix)
	if strings.HasSuffix(r.Path, path) {
		r.Target = r.Target[len(r.Path)-len(path):]
	} else {
		r.Target = path + r.Target[len(r.Path):]
	}
	r.Path = path
}

// stripped returns a path as the target sees it.
func stripped(path, prefix string) string {
	prefix = strings.TrimSuffix(prefix, "/")
	rest, found := strings.CutPrefix(path, prefix)
	switch {
	case !found || rest != "" && rest[0] != '/':
		return path
	case rest == "":
		return "/"
	}
	return rest
}
