package proxy

import (
	"net/http"
	"strconv"
	"strings"
	"time"

	"kamal-proxy/transport/exchange"
)

const fieldWriterAffinity = "X-Writer-Affinity"

// cookie returns the value of a request's cookie, or the empty string.
func cookie(h exchange.Header, name string) string {
	for i := range h {
		if !strings.EqualFold(h[i].Name, "Cookie") {
			continue
		}
		for pair := range strings.SplitSeq(h[i].Value, ";") {
			key, value, _ := strings.Cut(pair, "=")
			if strings.Trim(key, " \t") == name {
				return strings.Trim(value, " \t\"")
			}
		}
	}
	return ""
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
	h.Add("Set-Cookie", "kamal-writer="+strconv.FormatInt(until.UnixMilli(), 10)+
		"; Path=/; Expires="+until.Add(time.Second).UTC().Format(http.TimeFormat)+"; HttpOnly")
}

// scopeCookies keeps the app's cookies below the prefix that it does not know
// of.
func (v *visit) scopeCookies(h exchange.Header) {
	prefix := strings.TrimSuffix(v.verdict.Prefix, "/")
	if prefix == "" || !v.policy.TargetOptions.ScopeCookiePaths {
		return
	}
	for i := range h {
		// The proxy's own cookie is for all of the host.
		if strings.EqualFold(h[i].Name, "Set-Cookie") && !strings.HasPrefix(h[i].Value, "kamal-writer=") {
			h[i].Value = scoped(h[i].Value, prefix, v.entry.Host)
		}
	}
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
