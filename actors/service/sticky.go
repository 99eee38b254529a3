package service

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"strings"
)

// A client that is to stay with its target has a cookie of tokens, joined by
// dots: one for each target that it should come back to, the last given first.
// There may be several: of the writers and the readers, of a rollout, of other
// services on the same host.
const (
	tokenLength = 12 // characters of a token
	tokensKept  = 8

	// MaxSticky is the longest cookie that is looked at, in bytes.
	MaxSticky = tokensKept*(tokenLength+1) - 1
)

// token names a target to clients. Without the service's key nobody can tell
// from it where the target is, and it is the same after a restart.
func token(key, target string) string {
	mac := hmac.New(sha256.New, []byte(key))
	mac.Write([]byte(target))
	return base64.RawURLEncoding.EncodeToString(mac.Sum(nil))[:tokenLength]
}

// named returns the target that a client's cookie names, if it takes requests.
func (r *rotation) named(cookie string) *target {
	for token := range strings.SplitSeq(cookie, ".") {
		for _, t := range r.ready {
			if t.token == token && token != "" {
				return t
			}
		}
	}
	return nil
}

// stick returns the cookie of a client that t serves from now on, or the empty
// string if it has it already. What others of the rotation are called is
// dropped, what is not ours to understand stays.
func (r *rotation) stick(cookie string, t *target) string {
	if r.named(cookie) == t {
		return ""
	}
	names := []string{t.token}
	for token := range strings.SplitSeq(cookie, ".") {
		if isToken(token) && !r.knows(token) && len(names) < tokensKept {
			names = append(names, token)
		}
	}
	return strings.Join(names, ".")
}

func (r *rotation) knows(token string) bool {
	for _, t := range r.targets {
		if t.token == token {
			return true
		}
	}
	return false
}

// isToken keeps out what a client has made up.
func isToken(s string) bool {
	for i := range len(s) {
		c := s[i]
		if !(c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '-' || c == '_') {
			return false
		}
	}
	return len(s) == tokenLength
}
