package proxy

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
	"unsafe"

	"kamal-proxy/actors/service"
	"kamal-proxy/transport/exchange"
	"kamal-proxy/transport/pages"
)

func unsafeString(b []byte) string { return unsafe.String(&b[0], len(b)) }

func loadPages(t *testing.T, files map[string]string) *pages.Pages {
	t.Helper()
	dir := t.TempDir()
	for name, text := range files {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	p, err := pages.Load(dir)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func TestHopByHopFieldsGoNoFurther(t *testing.T) {
	h := header(
		"A", "1", "Connection", "close, X-One", "X-One", "1", "keep-alive", "5", "Proxy-Connection", "x",
		"TE", "gzip", "Transfer-Encoding", "chunked", "Upgrade", "h2c", "HTTP2-Settings", "x",
		"Proxy-Authenticate", "x", "Proxy-Authorization", "x", "X-Two", "2", "connection", "x-two , Content-Length",
		"Content-Length", "3", "Trailer", "X", "Z", "26",
	)
	expect(t, "header", fmt.Sprint(endToEnd(h, false)), "[{A 1} {Content-Length 3} {Z 26}]")
}

func TestClientCannotTakeAwayWhatTheProxySays(t *testing.T) {
	target := answers(200, "", 0)
	s := newStage(target)
	s.policy.TargetOptions.ForwardHeaders = true
	s.serve(t, newExchange("GET", "/",
		"Connection", "X-Request-ID, X-Request-Start, X-Forwarded-For, X-Forwarded-Host, X-Forwarded-Proto, X-Kamal-Target",
		"X-Request-ID", "theirs"))
	for _, name := range []string{fieldRequestID, fieldRequestStart, fieldForwardedFor, fieldForwardedHost, fieldForwardedProto, fieldTarget} {
		if value := target.got.Header.Get(name); value == "" || value == "theirs" {
			t.Errorf("%s is %q", name, value)
		}
	}
}

func TestResponsesAreScrubbed(t *testing.T) {
	s := newStage(answers(200, "", 0, "Connection", "keep-alive, X-Hop", "X-Hop", "1", "Keep-Alive", "timeout=5",
		"Upgrade", "h2c", "X-App", "1", "X-App", "2", "Trailer", "X"))
	x := newExchange("GET", "/")
	s.serve(t, x)
	expect(t, "header", fmt.Sprint(x.header), "[{X-App 1} {X-App 2}]")
}

func TestUpgradesThatAreAskedFor(t *testing.T) {
	for _, c := range []struct{ proto, asked, want string }{
		{"HTTP/1.1", "websocket", "websocket"},
		{"HTTP/1.1", "h2c", ""},
		{"HTTP/1.1", "H2C, websocket", "websocket"},
		{"HTTP/1.1", "HTTP/2.0", ""},
		{"HTTP/1.1", "TLS/1.0, foo/1", "foo/1"},
		{"HTTP/1.1", "", ""},
		{"HTTP/1.0", "websocket", ""},
		{"HTTP/2.0", "websocket", ""},
	} {
		target := answers(200, "", 0)
		s := newStage(target)
		x := newExchange("GET", "/", "Connection", "Upgrade", "Upgrade", c.asked)
		x.request.Proto, x.request.Upgrade = c.proto, c.asked
		s.serve(t, x)
		expect(t, c.proto+" "+c.asked, target.got.Upgrade, c.want)
		expect(t, "the question's upgrade", s.asked.Upgrade, c.want != "")
		expect(t, "Upgrade field", target.got.Header.Has("Upgrade"), false)
	}
}

func TestForwardedFields(t *testing.T) {
	type fields = map[string]string // of one name several values are joined by |
	came := []string{
		"X-Forwarded-For", "1.1.1.1", "X-Forwarded-Host", "front.example", "X-Forwarded-Proto", "https",
		"Forwarded", "for=1.1.1.1", "X-Kamal-Target", "outer:80", "x-forwarded-for", "2.2.2.2", "X-Real-IP", "9.9.9.9",
	}
	for _, c := range []struct {
		name     string
		trusting bool
		clientIP string
		came     []string
		want     fields
		remote   string
	}{
		{"nothing came, not trusting", false, "", nil, fields{
			"X-Forwarded-For": "127.0.0.1", "X-Forwarded-Host": "example.com", "X-Forwarded-Proto": "http",
			"X-Kamal-Target": "web:80", "Forwarded": "",
		}, "127.0.0.1"},
		{"nothing came, trusting", true, "", nil, fields{
			"X-Forwarded-For": "127.0.0.1", "X-Forwarded-Host": "example.com", "X-Forwarded-Proto": "http",
			"X-Kamal-Target": "web:80",
		}, "127.0.0.1"},
		{"not trusting", false, "", came, fields{
			"X-Forwarded-For": "127.0.0.1", "X-Forwarded-Host": "example.com", "X-Forwarded-Proto": "http",
			"X-Kamal-Target": "web:80", "Forwarded": "",
		}, "1.1.1.1, 2.2.2.2"},
		{"trusting", true, "", came, fields{
			"X-Forwarded-For": "1.1.1.1, 2.2.2.2, 127.0.0.1", "X-Forwarded-Host": "front.example", "X-Forwarded-Proto": "https",
			"X-Kamal-Target": "outer:80, web:80", "Forwarded": "for=1.1.1.1",
		}, "1.1.1.1, 2.2.2.2"},
		{"client IP, not trusting", false, "x-real-ip", came, fields{
			"X-Forwarded-For": "127.0.0.1", "X-Real-IP": "9.9.9.9", "Forwarded": "",
		}, "9.9.9.9"},
		{"client IP, trusting", true, "x-real-ip", came, fields{
			"X-Forwarded-For": "9.9.9.9, 127.0.0.1", "X-Real-IP": "9.9.9.9",
		}, "9.9.9.9"},
		{"client IP that did not come", true, "x-real-ip", []string{"X-Forwarded-For", "1.1.1.1"}, fields{
			"X-Forwarded-For": "1.1.1.1, 127.0.0.1",
		}, "1.1.1.1"},
		{"empty ones, trusting", true, "", []string{"X-Forwarded-For", "", "X-Forwarded-Host", "", "X-Kamal-Target", ""}, fields{
			"X-Forwarded-For": "127.0.0.1", "X-Forwarded-Host": "example.com", "X-Kamal-Target": "web:80",
		}, "127.0.0.1"},
	} {
		target := answers(200, "", 0)
		s := newStage(target)
		s.policy.TargetOptions.ForwardHeaders = c.trusting
		s.policy.Options.ClientIPHeader = c.clientIP
		entry := s.serve(t, newExchange("GET", "/", c.came...))
		for name, want := range c.want {
			expect(t, c.name+": "+name, strings.Join(target.got.Header.Values(name), "|"), want)
		}
		expect(t, c.name+": remote_addr", entry.RemoteAddr, c.remote)
	}
}

func TestPrefixesAreStripped(t *testing.T) {
	for _, c := range []struct{ prefix, target, want string }{
		{"", "/api/x", "/api/x"},
		{"/", "/api/x", "/api/x"},
		{"/api", "/api", "/"},
		{"/api", "/api?", "/?"},
		{"/api", "/api?a;b", "/?a;b"},
		{"/api", "/api/", "/"},
		{"/api", "/api/?x=%2F", "/?x=%2F"},
		{"/api", "/api/a%2Fb", "/a%2Fb"},
		{"/api", "/api/a%2Fb?a;b", "/a%2Fb?a;b"},
		{"/api", "/api//x/../y", "//x/../y"},
		{"/api", "/api/api/x", "/api/x"},
		{"/api/", "/api/x", "/x"},
		{"/a/b", "/a/b/c", "/c"},
		{"/api", "/apix", "/apix"},
		{"/api", "/other", "/other"},
		{"/api", "*", "*"},
	} {
		target := answers(200, "", 0)
		s := newStage(target)
		s.verdict.Prefix = c.prefix
		x := newExchange("GET", c.target)
		entry := s.serve(t, x)
		name := c.prefix + " of " + c.target
		expect(t, name, target.got.Target, c.want)
		path, _, _ := strings.Cut(c.want, "?")
		expect(t, name+" (path)", target.got.Path, path)
		if !strings.HasPrefix(strings.ReplaceAll(c.target, "%2F", "/"), entry.Path) || strings.HasPrefix(c.target, "/api") && !strings.HasPrefix(entry.Path, "/api") {
			t.Errorf("%s is logged as %s", name, entry.Path)
		}
	}
}

func TestCookieScopes(t *testing.T) {
	for _, c := range []struct{ line, want string }{
		{"a=b", "a=b; Path=/api"},
		{"a=b; Path=/", "a=b; Path=/api"},
		{"a=b; path=/x", "a=b; path=/api/x"},
		{"a=b;Path = /x/ ;Secure", "a=b;Path =/api/x/;Secure"},
		{"a=b; Path", "a=b; Path=/api"},
		{"a=b; Path=x; HttpOnly", "a=b; Path=/api; HttpOnly"},
		{"a=b; Partitioned; Priority=High;  Odd = 1 ; Path=/", "a=b; Partitioned; Priority=High;  Odd = 1 ; Path=/api"},
		{"Path=/x; Path=/y", "Path=/x; Path=/api/y"},
		{"a=b; Domain=example.com; Path=/", "a=b; Domain=example.com; Path=/api"},
		{"a=b; domain=.Example.COM; Path=/", "a=b; domain=.Example.COM; Path=/api"},
		{"a=b; Domain=; Path=/", "a=b; Domain=; Path=/api"},
		{"a=b; Domain=other.com; Path=/", "a=b; Domain=other.com; Path=/"},
		{"a=b; Domain=other.com; Domain=example.com", "a=b; Domain=other.com; Domain=example.com; Path=/api"},
		{"a=\"b; c", "a=\"b; c; Path=/api"},
		{"", "; Path=/api"},
	} {
		expect(t, c.line, scoped(c.line, "/api", "example.com"), c.want)
	}
}

func TestCookiesAreScopedWhereThatIsWanted(t *testing.T) {
	for _, c := range []struct {
		prefix string
		scope  bool
		want   string
	}{
		{"/api", true, "a=b; Path=/api"}, {"/api", false, "a=b"}, {"", true, "a=b"}, {"/", true, "a=b"},
	} {
		s := newStage(answers(200, "", 0, "set-cookie", "a=b"))
		s.verdict.Prefix, s.policy.TargetOptions.ScopeCookiePaths = c.prefix, c.scope
		x := newExchange("GET", "/api/x")
		x.request.Authority = "example.com:8080"
		s.serve(t, x)
		expect(t, fmt.Sprint(c.prefix, c.scope), x.header.Get("Set-Cookie"), c.want)
	}
}

func TestWriterCookie(t *testing.T) {
	for _, c := range []struct {
		keep   bool
		answer string
		want   bool
	}{
		{true, "", true}, {true, "false", false}, {true, "False", false}, {true, "true", true}, {false, "", false}, {false, "true", false},
	} {
		target := answers(200, "", 0)
		if c.answer != "" {
			target = answers(200, "", 0, "x-writer-affinity", c.answer)
		}
		s := newStage(target)
		s.verdict.KeepToWriter, s.verdict.Prefix = c.keep, "/api"
		s.policy.TargetOptions.ScopeCookiePaths = true
		s.policy.Options.WriterAffinityTimeout = writerTimeout
		x := newExchange("POST", "/api/x")
		asked := time.Now()
		s.serve(t, x)
		expect(t, fmt.Sprint(c), x.header.Has("Set-Cookie"), c.want)
		expect(t, "X-Writer-Affinity", x.header.Has("X-Writer-Affinity"), false)
		if c.want {
			checkWriterCookie(t, x.header.Get("Set-Cookie"), asked)
		}
	}
}

func TestCookiesAreFound(t *testing.T) {
	found := func(fields ...string) service.Facts {
		var f service.Facts
		cookies(header(fields...), &f)
		return f
	}
	for line, want := range map[string]string{
		"k=v": "v", "a=1; k=v": "v", "a=1;k=v;b=2": "v", `k="v"`: "v", "kk=v": "", "k": "", "": "", "a=k=v": "", "k=v=w": "v=w", "k=v; k=w": "v",
	} {
		line = strings.ReplaceAll(line, "k", "kamal-writer")
		expect(t, line, found("Cookie", line).Writer, want)
	}
	f := found("Cookie", "a=1", "cookie", "kamal-sticky=s; kamal-rollout=r", "Cookie", "kamal-writer=w")
	expect(t, "in several fields", f, service.Facts{Writer: "w", Rollout: "r", Sticky: "s"})
	expect(t, "one that is too long", found("Cookie", "kamal-sticky="+strings.Repeat("x", service.MaxSticky+1)).Sticky, "")
}

var _ exchange.Exchange = (*fakeExchange)(nil)
