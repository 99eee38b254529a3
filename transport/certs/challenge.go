package certs

import (
	"crypto/tls"
	"net/http"
	"net/url"
	"strings"

	"kamal-proxy/actors/spec"
)

// challengePrefix begins the paths of HTTP-01 (RFC 8555, section 8.3).
const challengePrefix = "/.well-known/acme-challenge/"

// Challenge answers an authority's question over plain HTTP. authority is the
// Host header as it came, path is not decoded. ours is false where the path is
// the app's. A token that is not known gets 404 and no body.
func (p *Policy) Challenge(authority, path string) (body []byte, status int, ours bool) {
	token, ok := strings.CutPrefix(path, challengePrefix)
	if !ok {
		return nil, 0, false
	}
	host := spec.RequestHost(authority)
	t := p.view.terms(host)
	if t == nil || t.issuer == nil {
		return nil, 0, false
	}
	if !isToken(token) {
		return nil, http.StatusNotFound, true
	}
	answer := recorder{status: http.StatusOK}
	t.issuer.challenge.ServeHTTP(&answer, &http.Request{
		Method: http.MethodGet,
		Host:   host,
		URL:    &url.URL{Path: path},
	})
	if answer.status != http.StatusOK {
		return nil, http.StatusNotFound, true
	}
	return answer.body, http.StatusOK, true
}

// isToken reports whether token can be one: base64url, of bounded length.
func isToken(token string) bool {
	for i := 0; i < len(token); i++ {
		switch c := token[i]; {
		case c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z', c >= '0' && c <= '9', c == '-', c == '_':
		default:
			return false
		}
	}
	return token != "" && len(token) <= 128
}

// recorder keeps what autocert's handler answers.
type recorder struct {
	header http.Header
	status int
	body   []byte
}

func (r *recorder) Header() http.Header {
	if r.header == nil {
		r.header = http.Header{}
	}
	return r.header
}

func (r *recorder) WriteHeader(status int) { r.status = status }

func (r *recorder) Write(p []byte) (int, error) {
	r.body = append(r.body, p...)
	return len(p), nil
}

// challengeCertificate answers TLS-ALPN-01.
func (t *terms) challengeCertificate(hello *tls.ClientHelloInfo, host string) (*tls.Certificate, error) {
	if t.issuer == nil {
		return nil, errNotOurs
	}
	return t.issuer.manager.GetCertificate(&tls.ClientHelloInfo{ServerName: host, SupportedProtos: hello.SupportedProtos})
}
