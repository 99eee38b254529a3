package ingress

import (
	"cmp"
	"errors"
	"io"
	"maps"
	"net"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"

	"kamal-proxy/transport/exchange"
	"kamal-proxy/transport/http1"
)

// requestTarget returns the target of a request in origin-form, byte for byte
// as it came, or the status to refuse the request with.
func requestTarget(r *http.Request) (target string, refusal int) {
	if r.Method == http.MethodConnect {
		return "", http.StatusNotImplemented
	}
	target, ok := originForm(r.RequestURI, r.Method, r.ProtoMajor)
	if !ok || !validTarget(target) || !validAuthority(r.Host) {
		return "", http.StatusBadRequest
	}
	if r.ProtoMajor >= 2 && !(validMethod(r.Method) && soundLength(r)) {
		return "", http.StatusBadRequest
	}
	return target, 0
}

// originForm makes the origin-form of the four forms of RFC 9112, section 3.2.
// The absolute-form's authority is in http.Request.Host already.
func originForm(target, method string, major int) (string, bool) {
	switch {
	case strings.HasPrefix(target, "/"):
		return target, true
	case target == "*":
		return target, method == http.MethodOptions
	case major >= 2:
		return "", false
	}
	scheme, rest, ok := strings.Cut(target, "://")
	if !ok || !strings.EqualFold(scheme, "http") && !strings.EqualFold(scheme, "https") {
		return "", false
	}
	end := strings.IndexAny(rest, "/?")
	authority := rest
	if end >= 0 {
		authority = rest[:end]
	}
	switch {
	case authority == "" || strings.Contains(authority, "@"):
		return "", false
	case end < 0 && method == http.MethodOptions:
		return "*", true
	case end < 0:
		return "/", true
	case rest[end] == '?':
		return "/" + rest[end:], true
	default:
		return rest[end:], true
	}
}

// validTarget reports whether a target can stand in a request line.
func validTarget(target string) bool {
	for i := range len(target) {
		if target[i] <= ' ' || target[i] == 0x7f {
			return false
		}
	}
	return true
}

// validAuthority reports whether a Host header's value is made of what RFC
// 3986, section 3.2, allows there, but for user information.
func validAuthority(authority string) bool {
	for i := range len(authority) {
		if c := authority[i]; !isAlphanumeric(c) && strings.IndexByte("-._~!$&'()*+,;=:[]%", c) < 0 {
			return false
		}
	}
	return true
}

// validMethod reports whether a method is a token (RFC 9110, section 5.6.2).
func validMethod(method string) bool {
	for i := range len(method) {
		if c := method[i]; !isAlphanumeric(c) && strings.IndexByte("!#$%&'*+-.^_`|~", c) < 0 {
			return false
		}
	}
	return method != ""
}

func isAlphanumeric(c byte) bool {
	return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9'
}

// soundLength reports whether an HTTP/2 request has one Content-Length at most,
// and net/http believed it.
func soundLength(r *http.Request) bool {
	lengths := r.Header["Content-Length"]
	if len(lengths) == 0 {
		return true
	}
	length, err := strconv.ParseInt(lengths[0], 10, 64)
	return len(lengths) == 1 && err == nil && length == r.ContentLength
}

// upgradeOf returns the protocol that a request asks to switch to. There is
// none for a request that has a body, since the tunnel would begin in its
// middle, and HTTP/2 without TLS is never spoken.
func upgradeOf(r *http.Request, header exchange.Header) string {
	if r.ProtoMajor != 1 || r.ProtoMinor < 1 || r.ContentLength != 0 || !header.HasToken("Connection", "upgrade") {
		return ""
	}
	for _, list := range r.Header["Upgrade"] {
		for protocol := range strings.SplitSeq(list, ",") {
			protocol = strings.Trim(protocol, " \t")
			if protocol != "" && !strings.EqualFold(protocol, "h2c") {
				return protocol
			}
		}
	}
	return ""
}

// requestHeader appends the fields of a request's head.
func requestHeader(list exchange.Header, r *http.Request) exchange.Header {
	list = appendFields(list, r.Header)
	if len(r.Trailer) > 0 { // net/http has taken the field that announced them
		list.Add("Trailer", strings.Join(slices.Sorted(maps.Keys(r.Trailer)), ", "))
	}
	return sorted(list)
}

func appendFields(list exchange.Header, header http.Header) exchange.Header {
	for name, values := range header {
		for _, value := range values {
			list = append(list, exchange.Field{Name: name, Value: value})
		}
	}
	return list
}

func sorted(list exchange.Header) exchange.Header {
	slices.SortStableFunc(list, func(a, b exchange.Field) int { return cmp.Compare(a.Name, b.Name) })
	return list
}

// body is a request's body, and knows when it has been read to its end. A
// malformed one fails with *http1.Error, as in http1.
type body struct {
	io.ReadCloser
	chunked bool
	ended   atomic.Bool
}

func (b *body) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	switch {
	case err == io.EOF:
		b.ended.Store(true)
	case err != nil && b.chunked && isMalformed(err):
		err = &http1.Error{Status: http.StatusBadRequest, Reason: err.Error()}
	}
	return n, err
}

// isMalformed tells what net/http says of a chunked body from what becomes of
// a connection.
func isMalformed(err error) bool {
	var network net.Error
	return !errors.Is(err, io.ErrUnexpectedEOF) && !errors.Is(err, http.ErrBodyReadAfterClose) && !errors.As(err, &network)
}
