package integration

import (
	"fmt"
	"strings"
	"testing"
)

func TestRedirects(t *testing.T) {
	d := startDaemon(t)
	raw := startRaw(t, nil)
	own := func(hosts ...string) []string {
		cert, key, _ := certificate(t, t.TempDir(), hosts...)
		return []string{"--tls", "--tls-certificate-path", cert, "--tls-private-key-path", key}
	}
	deploy := func(name string, flags ...string) {
		d.must(append([]string{"deploy", name, "--target", raw.target()}, flags...)...)
	}
	deploy("tls", append(own("tls.example"), "--host", "tls.example,*.tls.example")...)
	deploy("both", append(own("both.example"), "--host", "both.example,www.both.example", "--canonical-host", "both.example")...)
	deploy("mixed", append(own("mixed.example"), "--host", "mixed.example", "--tls-redirect=false")...)
	deploy("plain", "--host", "plain.example,www.plain.example", "--canonical-host", "Plain.example")
	deploy("path", "--host", "both.example", "--path-prefix", "/api", "--tls-redirect=false")
	deploy("any", "--canonical-host", "any.example")
	for _, c := range []struct{ host, target, location string }{
		{"tls.example:8080", "/", "https://tls.example/"},
		{"TLS.example.", "/a%2Fb//c/../d;e?q=a;b&&%20=+", "https://tls.example/a%2Fb//c/../d;e?q=a;b&&%20=+"},
		{"tls.example", "//evil.example/x", "https://tls.example//evil.example/x"},
		{"tls.example", "/\\evil.example", "https://tls.example/\\evil.example"},
		{"x.tls.example", "/?", "https://x.tls.example/?"},
		{"www.both.example:81", "/x", "https://both.example/x"},
		{"both.example", "/x", "https://both.example/x"},
		{"both.example", "/api/x", "https://both.example/api/x"},
		{"www.plain.example", "/x?y", "http://plain.example/x?y"},
		{"plain.example", "/x", ""},
		{"mixed.example", "/x", ""},
		{"other.example", "/x", "http://any.example/x"},
		{"any.example", "/x", ""},
	} {
		answer := say(t, d, "GET "+c.target+" HTTP/1.1\r\nHost: "+c.host+"\r\n"+closeUnless(c.location)+"\r\n")
		head, body, _ := strings.Cut(answer, "\r\n\r\n")
		if c.location == "" {
			if status(head) != "200" {
				t.Errorf("%s%s: %q, want no redirect", c.host, c.target, head)
			}
			continue
		}
		if status(head) != "301" || fmt.Sprint(field(head, "Location")) != "["+c.location+"]" || fmt.Sprint(field(head, "Connection")) != "[close]" {
			t.Errorf("%s%s: %q %.40q, want 301 to %s with Connection: close", c.host, c.target, head, body, c.location)
		}
	}
}

// closeUnless asks for the connection's end where a redirect does not bring it.
func closeUnless(location string) string {
	if location == "" {
		return "Connection: close\r\n"
	}
	return ""
}

func TestChallengesBelongToTheProxy(t *testing.T) {
	d := startDaemon(t)
	a := startApp(t, "a")
	d.must("deploy", "auto", "--target", a.target(), "--host", "auto.example", "--tls", "--tls-redirect=false", "--tls-acme-directory", "https://127.0.0.1:1/nobody")
	d.must("deploy", "plain", "--target", a.target(), "--host", "plain.example")
	if head, body := ask(t, d, "GET /.well-known/acme-challenge/unknown", "auto.example"); status(head) != "404" || body == "a" {
		t.Errorf("an unknown token: %q %.40q, want 404 from the proxy", head, body)
	}
	if _, body := ask(t, d, "GET /.well-known/acme-challenge/x", "plain.example"); body != "a" {
		t.Errorf("without automatic TLS the app answers, not %.40q", body)
	}
	if _, body := ask(t, d, "GET /.well-known/other", "auto.example"); body != "a" {
		t.Errorf("another path goes to the app, not %.40q", body)
	}
}
