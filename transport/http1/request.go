package http1

import (
	"bytes"
	"strings"

	"kamal-proxy/transport/exchange"
)

// ReadRequest reads the next request's head into req: all of it but Scheme,
// Client and Port. The capacity of req.Header is used again. The body of the
// request before must have been read to its end.
//
// The error is io.EOF if the client closed the connection between requests,
// io.ErrUnexpectedEOF if it did so within the head, *Error if the request is
// refused, else the connection's. A call that failed with a time-out may be
// made again: what has come is kept.
func (r *Reader) ReadRequest(req *exchange.Request) error {
	r.begin(false)
	head, err := r.requestHead()
	if err != nil {
		return err
	}
	minor, bad := parseRequestLine(head, req)
	if bad != nil {
		return bad
	}
	req.Header = req.Header[:0]
	fields := head[bytes.IndexByte(head, '\n')+1:]
	if bad := r.facts.parse(fields, &req.Header, r.limits.Fields, true); bad != nil {
		return bad
	}
	if bad := r.facts.setTarget(req, minor); bad != nil {
		return bad
	}
	kind, length, bad := r.facts.framing(minor)
	if bad != nil {
		return bad
	}
	r.facts.settle(req, minor)
	r.body.begin(kind, length)
	req.ContentLength, req.Body, req.Trailer = length, &r.body, r.trailer
	return nil
}

// requestHead finds the head. One empty line before it is skipped (RFC 9112,
// section 2.2); anything else that cannot begin a request, such as a TLS
// handshake, is refused at its first byte.
func (r *Reader) requestHead() ([]byte, error) {
	for skipped := false; ; skipped = true {
		if r.pos == r.end {
			if err := r.fill(); err != nil {
				return nil, err
			}
		}
		if r.buf[r.pos] != '\r' || skipped {
			break
		}
		if _, err := r.line(0, errMethod); err != nil {
			return nil, err
		}
	}
	if !tokenChars[r.buf[r.pos]] {
		return nil, errMethod
	}
	head, err := r.section()
	return head, unexpected(err)
}

// parseRequestLine reads "METHOD TARGET VERSION" (RFC 9112, section 3).
func parseRequestLine(head []byte, req *exchange.Request) (minor int, err *Error) {
	line := stringOf(head[:bytes.IndexByte(head, '\n')-1])
	method, rest, ok := strings.Cut(line, " ")
	target, version, ok2 := strings.Cut(rest, " ")
	switch {
	case !isToken(method):
		return 0, errMethod
	case !ok || !ok2 || !isTarget(target):
		return 0, errStartLine
	}
	req.Method, req.Target, req.Proto = method, target, version
	switch {
	case version == "HTTP/1.1":
		return 1, nil
	case version == "HTTP/1.0":
		return 0, nil
	case isVersion(version):
		return 0, errVersion
	default:
		return 0, errBadVersion
	}
}

// isVersion tells whether s has the form of an HTTP version, of any number.
func isVersion(s string) bool {
	return len(s) == len("HTTP/1.1") && s[:5] == "HTTP/" && isDigit(s[5]) && s[6] == '.' && isDigit(s[7])
}

func isDigit(c byte) bool { return '0' <= c && c <= '9' }

// settle works out what the request asks of its connection.
func (f *facts) settle(req *exchange.Request, minor int) {
	f.keepAlive = f.persists(minor)
	f.expectsContinue = f.expectsContinue && minor >= 1
	req.Upgrade = ""
	if f.connectUpgrade && minor >= 1 {
		req.Upgrade = f.upgrade
	}
}
