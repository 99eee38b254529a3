package http1_test

import (
	"bufio"
	"io"
	"net/http"
	"net/textproto"
	"strings"
	"testing"

	"kamal-proxy/transport/exchange"
	"kamal-proxy/transport/http1"
)

// message is what one side makes of some bytes, in terms that both have.
type message struct {
	Start   string // method and target, or status
	Host    string
	Fields  string // canonical, sorted, without those that either side treats specially
	Trailer string
	Length  int64
	Body    string
	Rest    string // of the input, after the message
}

// special are the fields that net/http takes out of the header or makes up.
var special = map[string]bool{"Host": true, "Content-Length": true, "Transfer-Encoding": true, "Trailer": true, "Connection": true, "Cache-Control": true}

func fieldsOf(h http.Header) string {
	h = h.Clone()
	for name := range special {
		h.Del(name)
	}
	var b strings.Builder
	h.Write(&b)
	return b.String()
}

func asNetHTTP(h exchange.Header) http.Header {
	all := http.Header{}
	for _, f := range h {
		name := textproto.CanonicalMIMEHeaderKey(f.Name)
		all[name] = append(all[name], f.Value)
	}
	return all
}

func oursRequest(in string) (message, error) {
	src := strings.NewReader(in)
	r := http1.NewReader(src, http1.Limits{})
	var req exchange.Request
	if err := r.ReadRequest(&req); err != nil {
		return message{}, err
	}
	body, err := io.ReadAll(req.Body)
	rest, _ := io.ReadAll(src)
	return message{
		strings.Clone(req.Method + " " + req.Target), strings.Clone(req.Authority), fieldsOf(asNetHTTP(req.Header)),
		fieldsOf(asNetHTTP(req.Trailer())), req.ContentLength, string(body), string(r.Buffered()) + string(rest),
	}, err
}

func theirsRequest(in string) (message, error) {
	src := bufio.NewReader(strings.NewReader(in))
	r, err := http.ReadRequest(src)
	if err != nil {
		return message{}, err
	}
	target := r.RequestURI
	if !strings.HasPrefix(target, "/") && target != "*" {
		target = r.URL.RequestURI()
		if _, rest, absolute := strings.Cut(r.RequestURI, "://"); absolute { // as it was written: URL encodes it anew
			target = "/"
			if i := strings.IndexAny(rest, "/?"); i >= 0 {
				target = "/" + strings.TrimPrefix(rest[i:], "/")
			}
		}
		if r.Method == "OPTIONS" && r.URL.Path == "" {
			target = "*"
		}
	}
	body, err := io.ReadAll(r.Body)
	rest, _ := io.ReadAll(src)
	return message{r.Method + " " + target, r.Host, fieldsOf(r.Header), fieldsOf(r.Trailer), r.ContentLength, string(body), string(rest)}, err
}

func oursResponse(in, method string) (message, error) {
	src := strings.NewReader(in)
	r := http1.NewReader(src, http1.Limits{})
	var res exchange.Response
	if err := r.ReadResponse(method, &res); err != nil {
		return message{}, err
	}
	body, err := io.ReadAll(res.Body)
	rest, _ := io.ReadAll(src)
	return message{http.StatusText(res.Status), "", fieldsOf(asNetHTTP(res.Header)), fieldsOf(asNetHTTP(res.Trailer())),
		0, string(body), string(r.Buffered()) + string(rest)}, err
}

func theirsResponse(in, method string) (message, error) {
	src := bufio.NewReader(strings.NewReader(in))
	res, err := http.ReadResponse(src, &http.Request{Method: method})
	if err != nil {
		return message{}, err
	}
	body, err := io.ReadAll(res.Body)
	rest, _ := io.ReadAll(src)
	return message{http.StatusText(res.StatusCode), "", fieldsOf(res.Header), fieldsOf(res.Trailer), 0, string(body), string(rest)}, err
}

// acceptance tells who takes a message.
type acceptance string

const (
	both   acceptance = "both"
	none   acceptance = "none"
	ours   acceptance = "ours"
	theirs acceptance = "theirs"
)

func compare(t *testing.T, our message, ourErr error, their message, theirErr error) acceptance {
	t.Helper()
	switch {
	case ourErr == nil && theirErr == nil:
		if our != their {
			t.Errorf("it is read as\n%+v, by net/http as\n%+v", our, their)
		}
		return both
	case ourErr == nil:
		return ours
	case theirErr == nil:
		return theirs
	}
	return none
}

// Where we and net/http decide differently, and why. (net/http's server
// refuses some of what http.ReadRequest takes: versions, Host.)
func TestRequestsAgainstNetHTTP(t *testing.T) {
	for in, c := range map[string]struct {
		who acceptance
		why string
	}{
		"GET / HTTP/1.1\r\nHost: x\r\nA: b\r\n\r\nrest":                                                                 {both, "plain"},
		"POST /a?b HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nabcrest":                                             {both, "length"},
		"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\nContent-Length: 3\r\n\r\nabcrest":                           {both, "the same length twice (RFC 9110, 8.6 allows to take it once)"},
		"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\nrest":                     {both, "chunked"},
		"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\nTrailer: T\r\n\r\n3;e\r\nabc\r\n0\r\nT: u\r\n\r\n": {both, "trailers"},
		"GET http://a.test/b HTTP/1.1\r\nHost: x\r\n\r\n":                                                               {both, "absolute"},
		"GET / HTTP/1.0\r\n\r\n": {both, "HTTP/1.0"},

		"GET /%zz HTTP/1.1\r\nHost: x\r\n\r\n":                                             {ours, "targets are not judged: the target answers for them"},
		"\r\nGET / HTTP/1.1\r\nHost: x\r\n\r\n":                                            {ours, "one empty line before a request is skipped (RFC 9112, 2.2)"},
		"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nab":                        {none, "body cut short"},
		"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: gzip, chunked\r\n\r\n":           {none, "unknown coding"},
		"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\nContent-Length: 4\r\n\r\nabcd": {none, "lengths that differ"},

		"GET / HTTP/1.1\nHost: x\n\n":                     {theirs, "a line that ends in LF alone: others may see another end"},
		"GET / HTTP/1.1\r\nHost: x\r\nA: b\r\n c\r\n\r\n": {theirs, "folded lines are obsolete, and read differently (RFC 9112, 5.2)"},
		"GET / HTTP/1.1\r\n\r\n":                          {theirs, "Host is missing (net/http's server refuses it later)"},
		"GET / HTTP/1.1\r\nHost: x/y\r\n\r\n":             {theirs, "Host is no host (net/http's server refuses it later)"},
		"GET / HTTP/1.2\r\nHost: x\r\n\r\n":               {theirs, "this version does not exist"},
		"GET / HTTP/3.0\r\nHost: x\r\n\r\n":               {theirs, "not spoken here (net/http's server refuses it later)"},
		"CONNECT x:443 HTTP/1.1\r\nHost: x\r\n\r\n":       {theirs, "this proxy tunnels to nobody"},
		"GET ftp://x/ HTTP/1.1\r\nHost: x\r\n\r\n":        {theirs, "only http is proxied"},
		"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n": {theirs, "two framings: the way requests are smuggled (RFC 9112, 6.1)"},
		"POST / HTTP/1.0\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n":                      {theirs, "HTTP/1.0 has no transfer codings; net/http ignores it, others do not"},
		"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n3 \r\nabc\r\n0\r\n\r\n":         {theirs, "a blank after a chunk's size"},
		"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n3;\x01\r\nabc\r\n0\r\n\r\n":     {theirs, "a control character in an extension"},
	} {
		our, ourErr := oursRequest(in)
		their, theirErr := theirsRequest(in)
		if who := compare(t, our, ourErr, their, theirErr); who != c.who {
			t.Errorf("%q (%s) is accepted by %s, not %s: %v; %v", in, c.why, who, c.who, ourErr, theirErr)
		}
	}
}

func TestResponsesAgainstNetHTTP(t *testing.T) {
	for in, c := range map[string]struct {
		who acceptance
		why string
	}{
		"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabcrest":                                    {both, "length"},
		"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\nT: u\r\n\r\nrest": {both, "chunked"},
		"HTTP/1.1 200\r\n\r\nuntil the end":                                                      {both, "until close, no reason"},
		"HTTP/1.0 200 OK\r\n\r\nuntil the end":                                                   {both, "HTTP/1.0"},
		"HTTP/1.1 204 No Content\r\n\r\nrest":                                                    {both, "no body"},
		"HTTP/1.1 304 Not Modified\r\nContent-Length: 3\r\n\r\nrest":                             {both, "no body, whatever it says"},
		"HTTP/1.1 20 OK\r\n\r\n":                                                                 {none, "no status"},
		"HTTP/1.1 200 OK\n\n":                                                                    {theirs, "LF alone"},
		"HTTP/1.1 099 OK\r\n\r\n":                                                                {theirs, "there is no such class of statuses"},
		"HTTP/2.0 200 OK\r\n\r\n":                                                                {theirs, "not HTTP/1"},
		"HTTP/1.1 200 OK\r\nA: b\r\n c\r\n\r\n":                                                  {theirs, "folded"},
		"HTTP/1.1 200 OK\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n":    {theirs, "two framings"},
		"HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n":                         {theirs, "a coding in HTTP/1.0"},
	} {
		our, ourErr := oursResponse(in, "GET")
		their, theirErr := theirsResponse(in, "GET")
		if who := compare(t, our, ourErr, their, theirErr); who != c.who {
			t.Errorf("%q (%s) is accepted by %s, not %s: %v; %v", in, c.why, who, c.who, ourErr, theirErr)
		}
	}
}
