package ingress

import (
	"cmp"
	"context"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"github.com/rs/zerolog"

	"kamal-proxy/transport/exchange"
)

// serveWeb is net/http's Handler.
func (s *Server) serveWeb(w http.ResponseWriter, r *http.Request) {
	s.webHandler.serve(r.Context(), w, r, *webPeer(r))
}

// webHandler is the way of requests from net/http's interface to the Handler.
type webHandler struct {
	handler Handler
	log     zerolog.Logger
	altSvc  []string // that field's value, see Config.HTTP3Port; nil: none
}

// serve serves one request. ctx ends when its client has gone.
func (h *webHandler) serve(ctx context.Context, w http.ResponseWriter, r *http.Request, p peer) {
	target, refusal := requestTarget(r)
	if refusal != 0 {
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		w.WriteHeader(refusal)
		w.Write(refusalPage(refusal))
		return
	}
	e := newWebExchange(ctx, h, w, r, target, p)
	defer e.end()
	h.handler(e)
}

// announce tells clients of HTTP/3 (RFC 7838), where the target has not told
// them anything of the kind.
func (h *webHandler) announce(head http.Header) {
	if h.altSvc != nil && head[fieldAltSvc] == nil {
		head[fieldAltSvc] = h.altSvc
	}
}

// requestTarget returns the target of a request in origin-form, byte for byte
// as it came, or the status to refuse the request with.
func requestTarget(r *http.Request) (target string, refusal int) {
	target = r.RequestURI
	switch {
	case r.Method == http.MethodConnect:
		return "", http.StatusNotImplemented
	case !strings.HasPrefix(target, "/") && !(target == "*" && r.Method == http.MethodOptions):
		return "", http.StatusBadRequest
	case !validTarget(target), !validAuthority(r.Host), !validMethod(r.Method), !soundLength(r):
		return "", http.StatusBadRequest
	}
	return target, 0
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

// soundLength reports whether a request has one Content-Length at most,
// and net/http believed it.
func soundLength(r *http.Request) bool {
	lengths := r.Header["Content-Length"]
	if len(lengths) == 0 {
		return true
	}
	length, err := strconv.ParseInt(lengths[0], 10, 64)
	return len(lengths) == 1 && err == nil && length == r.ContentLength
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
