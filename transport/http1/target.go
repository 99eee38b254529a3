package http1

import (
	"strings"

	"kamal-proxy/transport/exchange"
)

// setTarget reads the request's target and Host (RFC 9112, section 3.2). An
// absolute URI is taken apart: its authority counts, not Host's.
func (f *facts) setTarget(req *exchange.Request, minor int) *Error {
	switch {
	case f.hosts > 1:
		return errTwoHosts
	case f.hosts == 0 && minor >= 1:
		return errNoHost
	case !exchange.IsAuthority(f.host):
		return errHost
	}
	req.Authority = f.host
	switch {
	case req.Method == "CONNECT":
		return errConnect
	case req.Target[0] == '/':
	case req.Target == "*" && req.Method == "OPTIONS":
	default:
		if err := setAbsolute(req); err != nil {
			return err
		}
	}
	req.Path, req.Query, req.HasQuery = strings.Cut(req.Target, "?")
	return nil
}

func setAbsolute(req *exchange.Request) *Error {
	scheme, rest, ok := strings.Cut(req.Target, "://")
	if !ok || !strings.EqualFold(scheme, "http") && !strings.EqualFold(scheme, "https") {
		return errTarget
	}
	end := strings.IndexAny(rest, "/?#")
	if end < 0 {
		end = len(rest)
	}
	authority, target := rest[:end], rest[end:]
	if authority == "" || !exchange.IsAuthority(authority) {
		return errTarget
	}
	switch {
	case target == "" && req.Method == "OPTIONS":
		target = "*"
	case target == "":
		target = "/"
	case target[0] != '/':
		target = "/" + target
	}
	req.Authority, req.Target = authority, target
	return nil
}
