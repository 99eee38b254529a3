package proxy

import (
	"net/http"
	"strconv"
	"strings"
	"time"

	"kamal-proxy/actors/service"
	"kamal-proxy/transport/exchange"
)

const (
	fieldWriterAffinity = "X-Writer-Affinity"

	cookieWriter  = "kamal-writer"
	cookieRollout = "kamal-rollout"
	cookieSticky  = "kamal-sticky"
)

// cookies copies those of a request that its service decides by. Of several of
// one name the first counts.
func cookies(h exchange.Header, f *service.Facts) {
	for i := range h {
		if !strings.EqualFold(h[i].Name, "Cookie") || !strings.Contains(h[i].Value, "kamal-") {
			continue
		}
		for pair := range strings.SplitSeq(h[i].Value, ";") {
			name, value, _ := strings.Cut(pair, "=")
			var place *string
			switch strings.Trim(name, " \t") {
			case cookieWriter:
				place = &f.Writer
			case cookieRollout:
				place = &f.Rollout
			case cookieSticky:
				place = &f.Sticky
			default:
				continue
			}
			if *place == "" {
				*place = strings.Clone(strings.Trim(value, " \t\""))
			}
		}
	}
	if len(f.Sticky) > service.MaxSticky {
		f.Sticky = ""
	}
}

// keepToWriter sets the cookie that keeps a client to the writers for a while
// after it has written, unless the app does not want it.
func (v *visit) keepToWriter(h *exchange.Header) {
	unwanted := strings.EqualFold(h.Get(fieldWriterAffinity), "false")
	h.Del(fieldWriterAffinity)
	if !v.verdict.KeepToWriter || unwanted {
		return
	}
	until := time.Now().Add(v.policy.Options.WriterAffinityTimeout)
	h.Add("Set-Cookie", cookieWriter+"="+strconv.FormatInt(until.UnixMilli(), 10)+
		"; Path=/; Expires="+until.Add(time.Second).UTC().Format(http.TimeFormat)+"; HttpOnly")
}

// keepToTarget sets the cookie that brings a client back to its target.
func (v *visit) keepToTarget(h *exchange.Header) {
	if v.verdict.Stick == "" {
		return
	}
	line := cookieSticky + "=" + v.verdict.Stick + "; Path=/; HttpOnly; SameSite=Lax"
	if v.request.Scheme == "https" {
		line += "; Secure"
	}
	h.Add("Set-Cookie", line)
}

// scopeCookies keeps the app's cookies below the prefix that it does not know
// of.
func (v *visit) scopeCookies(h exchange.Header) {
	prefix := strings.TrimSuffix(v.verdict.Prefix, "/")
	if prefix == "" || !v.policy.TargetOptions.ScopeCookiePaths {
		return
	}
	for i := range h {
		// The proxy's own cookies are for all of the host.
		if strings.EqualFold(h[i].Name, "Set-Cookie") && !isOwnCookie(h[i].Value) {
			h[i].Value = scoped(h[i].Value, prefix, v.entry.Host)
		}
	}
}

func isOwnCookie(line string) bool {
	return strings.HasPrefix(line, cookieWriter+"=") || strings.HasPrefix(line, cookieSticky+"=")
}

// scoped puts prefix before the Path of a Set-Cookie line, unless it is for
// another host. All else stays byte for byte.
func scoped(line, prefix, host string) string {
	if domain := attribute(line, "Domain"); domain != "" && !sameHost(domain, host) {
		return line
	}
	var out strings.Builder
	out.Grow(len(line) + len("; Path=") + len(prefix))
	found := false
	for i, part := range strings.Split(line, ";") {
		if i > 0 {
			out.WriteByte(';')
		}
		name, path, _ := strings.Cut(part, "=")
		if i == 0 || !isName(name, "Path") {
			out.WriteString(part)
			continue
		}
		found = true
		out.WriteString(name + "=" + below(prefix, strings.TrimSpace(path)))
	}
	if !found {
		out.WriteString("; Path=" + prefix)
	}
	return out.String()
}

// attribute returns the value of a Set-Cookie line's attribute; of several the
// last counts (RFC 6265, section 5.3).
func attribute(line, name string) string {
	value := ""
	for i, part := range strings.Split(line, ";") {
		if key, v, _ := strings.Cut(part, "="); i > 0 && isName(key, name) {
			value = strings.TrimSpace(v)
		}
	}
	return value
}

func isName(part, name string) bool { return strings.EqualFold(strings.TrimSpace(part), name) }

func sameHost(domain, host string) bool {
	return strings.EqualFold(strings.TrimPrefix(domain, "."), host)
}

// below returns a cookie's path within prefix. What is no path stands for the
// whole of the app, and "/app/" would not match "/app" itself.
func below(prefix, path string) string {
	if path == "/" || !strings.HasPrefix(path, "/") {
		return prefix
	}
	return prefix + path
}
