package http2

import "kamal-proxy/transport/exchange"

// contentLength returns the body's length, -1 if it is not known.
func (h *head) contentLength() (length int64, flaw string) {
	length = -1
	if h.hasLength {
		n, ok := parseLength(h.length)
		if !ok {
			return 0, "Content-Length is not a number"
		}
		length = n
	}
	if !h.ended {
		return length, ""
	}
	if length > 0 {
		return 0, "there is no body, but a Content-Length"
	}
	return 0, ""
}

// flawOfTarget says what section 8.3.1 finds wrong.
func (h *head) flawOfTarget() string {
	switch {
	case !h.hasMethod || h.method == "":
		return "there is no method"
	case h.hasHost && h.hasAuthority && !equalFold(h.host, h.authority):
		return ":authority and Host differ"
	case h.method == "CONNECT":
		if h.hasScheme || h.hasPath || !h.hasAuthority {
			return "CONNECT is not to an authority alone"
		}
	case !h.hasScheme || h.scheme == "":
		return "there is no scheme"
	case !h.hasPath || h.path == "":
		return "there is no path"
	}
	return ""
}

// refusal is the status for what no target can be asked; 0: it can. A path's
// characters are not judged beyond blanks and controls.
func (h *head) refusal() int {
	if !h.hasAuthority {
		h.authority = h.host
	}
	switch {
	case !isToken(h.method), !exchange.IsAuthority(h.authority):
		return 400
	case h.method == "CONNECT":
		return 501
	case !only(h.path, &targetChars):
		return 400
	case h.path[0] != '/' && !(h.path == "*" && h.method == "OPTIONS"):
		return 400
	}
	return 0
}
