package proxy

import (
	"fmt"
	"net/http"
	"net/netip"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"
)

const writerTimeout = 3 * time.Second

// checkWriterCookie checks one that was made since then.
func checkWriterCookie(t *testing.T, line string, since time.Time) {
	t.Helper()
	parts := regexp.MustCompile(`^kamal-writer=(\d+); Path=/; Expires=(.+); HttpOnly$`).FindStringSubmatch(line)
	if parts == nil {
		t.Fatalf("the cookie is %q", line)
	}
	ms, _ := strconv.ParseInt(parts[1], 10, 64)
	until := time.UnixMilli(ms)
	if until.Before(since.Add(writerTimeout).Truncate(time.Millisecond)) || time.Until(until) > writerTimeout {
		t.Errorf("the cookie's value is %v ahead", time.Until(until))
	}
	expires, err := http.ParseTime(parts[2])
	if err != nil || !expires.Equal(until.Add(time.Second).Truncate(time.Second)) {
		t.Errorf("the cookie expires at %v (%v), its value is %v", expires, err, until)
	}
}

func TestLogEntry(t *testing.T) {
	s := newStage(answers(200, "hello", 5, "Content-Type", "text/plain", "X-One", "a", "X-One", "b"))
	s.policy.TargetOptions.LogRequestHeaders = []string{"Cache-Control", "X-Nothing", "X-Request-ID"}
	s.policy.TargetOptions.LogResponseHeaders = []string{"x-one"}
	x := newExchange("PUT", "/a%20b%2Fc?d=%20", "Cache-Control", "no-cache", "cache-control", "no-store",
		"User-Agent", "test", "Content-Type", "text/csv", "X-Request-ID", "id")
	x.request.ContentLength, x.request.Body = -1, strings.NewReader("x")
	x.request.Client = netip.MustParseAddrPort("[2001:db8::1]:99")
	x.request.Authority, x.request.Scheme = "[::1]:8080", "https"
	e := s.serve(t, x)
	if e.Started.IsZero() || e.Duration <= 0 {
		t.Errorf("it began at %v and took %v", e.Started, e.Duration)
	}
	got := fmt.Sprintf("%q", []any{
		e.Host, e.Port, e.Path, e.RequestID, e.Status, e.Service, e.Target, e.Method, e.ReqContentLength, e.ReqContentType,
		e.RespContentLength, e.RespContentType, e.ClientAddr, e.ClientPort, e.RemoteAddr, e.UserAgent, e.Proto, e.Scheme, e.Query,
		e.Headers,
	})
	want := fmt.Sprintf("%q", []any{
		"::1", 8080, "/a b/c", "id", 200, "app", "web:80", "PUT", int64(-1), "text/csv",
		int64(5), "text/plain", "2001:db8::1", "99", "2001:db8::1", "test", "HTTP/1.1", "https", "d=%20",
		header("req_cache_control", "no-cache,no-store", "req_x_nothing", "", "req_x_request_id", "id", "resp_x_one", "a,b"),
	})
	expect(t, "entry", got, want)
}

func TestLogOfAnErrorPageHasItsOwnFields(t *testing.T) {
	s := newStage(fails(fmt.Errorf("no")))
	s.policy.TargetOptions.LogRequestHeaders = []string{"A"}
	s.policy.TargetOptions.LogResponseHeaders = []string{"B"}
	for range 2 { // the second visit is the first one's memory
		e := s.serve(t, newExchange("GET", "/", "A", "1"))
		expect(t, "fields", fmt.Sprint(e.Headers), "[{req_a 1} {resp_b }]")
		expect(t, "type", e.RespContentType, "text/html; charset=utf-8")
	}
}

func TestHostsWithoutPorts(t *testing.T) {
	for authority, want := range map[string]string{
		"a": "a", "a:80": "a", "A.b.:1": "A.b.", "[::1]": "::1", "[::1]:80": "::1", "": "", ":80": "", "[": "",
	} {
		expect(t, authority, hostOnly(authority), want)
	}
}

func TestPathsAreDecoded(t *testing.T) {
	for path, want := range map[string]string{"/a": "/a", "/%41": "/A", "/%4": "/%4", "/a+b": "/a+b"} {
		expect(t, path, decoded(path), want)
	}
}

func TestAddressesOfClients(t *testing.T) {
	for client, want := range map[string]string{
		"1.2.3.4:5": "1.2.3.4 5", "[::1]:5": "::1 5", "[::ffff:1.2.3.4]:5": "1.2.3.4 5", "[fe80::1%eth0]:5": "fe80::1%eth0 5",
	} {
		address, port := new(visit).addressAndPort(netip.MustParseAddrPort(client))
		expect(t, client, address+" "+port, want)
	}
	address, port := new(visit).addressAndPort(netip.AddrPort{})
	expect(t, "no address", address+port, "")
}
