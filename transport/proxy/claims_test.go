package proxy

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"

	"kamal-proxy/transport/trust"
)

func TestOnlyTrustedProxiesAreBelieved(t *testing.T) {
	trusted := trust.Proxies{netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("2001:db8::/32")}
	came := []string{
		"X-Forwarded-For", "6.6.6.6, 203.0.113.9", "X-Forwarded-Host", "front.example", "X-Forwarded-Proto", "https", "X-Forwarded-For", "10.0.0.2",
		"X-Forwarded-Port", "443", "X-Forwarded-Ssl", "on", "Forwarded", "for=1.1.1.1", "X-Real-IP", "9.9.9.9", "True-Client-IP", "8.8.8.8",
		"X-Kamal-Target", "outer:80", "X-App", "1", "X-Request-Start", "t=1",
	}
	stripped := map[string]string{
		"X-Forwarded-Host": "example.com", "X-Forwarded-Proto": "http", "X-Forwarded-Port": "", "X-Forwarded-Ssl": "", "Forwarded": "",
		"X-Real-IP": "", "True-Client-IP": "", "X-Kamal-Target": "web:80", "X-App": "1",
	}
	kept := map[string]string{
		"X-Forwarded-Host": "front.example", "X-Forwarded-Proto": "https", "X-Forwarded-Port": "443", "X-Forwarded-Ssl": "on", "Forwarded": "for=1.1.1.1",
		"X-Real-IP": "9.9.9.9", "True-Client-IP": "8.8.8.8", "X-Kamal-Target": "outer:80, web:80", "X-App": "1",
	}
	for _, c := range []struct {
		name, peer string
		forward    bool
		clientIP   string
		want       map[string]string
		forwarded  string
		remote     string
	}{
		{"a proxy", "10.0.0.1", true, "", kept, "6.6.6.6, 203.0.113.9, 10.0.0.2, 10.0.0.1", "203.0.113.9"},
		{"a proxy, by IPv6", "2001:db8::5", true, "", kept, "6.6.6.6, 203.0.113.9, 10.0.0.2, 2001:db8::5", "203.0.113.9"},
		{"a proxy, mapped", "::ffff:10.0.0.1", true, "", kept, "6.6.6.6, 203.0.113.9, 10.0.0.2, 10.0.0.1", "203.0.113.9"},
		{"a proxy with a client IP", "10.0.0.1", true, "x-real-ip", kept, "9.9.9.9, 10.0.0.1", "9.9.9.9"},
		{"a proxy, not to be forwarded", "10.0.0.1", false, "", map[string]string{
			"X-Forwarded-Host": "example.com", "X-Forwarded-Proto": "http", "X-Forwarded-Port": "443", "Forwarded": "", "X-Real-IP": "9.9.9.9", "X-Kamal-Target": "web:80",
		}, "10.0.0.1", "203.0.113.9"},
		{"a stranger", "192.0.2.1", true, "", stripped, "192.0.2.1", "192.0.2.1"},
		{"a stranger with a client IP", "192.0.2.1", true, "x-real-ip", stripped, "192.0.2.1", "192.0.2.1"},
		{"a stranger with any client IP", "192.0.2.1", true, "X-App", map[string]string{"X-App": ""}, "192.0.2.1", "192.0.2.1"},
		{"a stranger, not to be forwarded", "192.0.2.1", false, "", stripped, "192.0.2.1", "192.0.2.1"},
		{"a stranger, by IPv6", "2001:db9::5", true, "", stripped, "2001:db9::5", "2001:db9::5"},
	} {
		target := answers(200, "", 0)
		s := newStage(target)
		s.config.Trusted = trusted
		s.policy.TargetOptions.ForwardHeaders = c.forward
		s.policy.Options.ClientIPHeader = c.clientIP
		x := newExchange("GET", "/", came...)
		x.request.Client = netip.AddrPortFrom(netip.MustParseAddr(c.peer), 4242)
		entry := s.serve(t, x)
		for name, want := range c.want {
			expect(t, c.name+": "+name, strings.Join(target.got.Header.Values(name), "|"), want)
		}
		expect(t, c.name+": X-Forwarded-For", strings.Join(target.got.Header.Values("X-Forwarded-For"), "|"), c.forwarded)
		expect(t, c.name+": remote_addr", entry.RemoteAddr, c.remote)
		stranger := strings.HasPrefix(c.name, "a stranger")
		expect(t, c.name+": the start is ours", target.got.Header.Get("X-Request-Start") != "t=1", stranger)
	}
}

func TestFieldsThatMisleadAppsAreLeftOut(t *testing.T) {
	dropped := []string{
		"X_Forwarded_For", "X-Forwarded_For", "x_forwarded-proto", "X_FORWARDED_HOST", "X_Forwarded_Anything", "X_Request_ID", "X-Request_Start",
		"X_Kamal_Target", "X_Real_IP", "Client_IP", "Content_Length", "Transfer_Encoding", "Keep_Alive", "Proxy", "proxy", "CF_Connecting_IP",
	}
	kept := []string{"my_field", "X_Custom", "X_Forwarded", "Proxy2", "_", "X_Request_ID2", "Content_Type"}
	for _, trusting := range []bool{false, true} {
		target := answers(200, "", 0)
		s := newStage(target)
		s.policy.TargetOptions.ForwardHeaders = trusting
		s.policy.Options.ClientIPHeader = "CF-Connecting-IP"
		x := newExchange("GET", "/", "CF-Connecting-IP", "9.9.9.9")
		for _, name := range append(dropped, kept...) {
			x.request.Header.Add(name, "6.6.6.6")
		}
		s.serve(t, x)
		for _, f := range target.got.Header {
			if f.Value != "6.6.6.6" {
				continue
			}
			if len(kept) == 0 || f.Name != kept[0] {
				t.Errorf("%s came through", f.Name)
				continue
			}
			kept = kept[1:]
		}
		if len(kept) > 0 {
			t.Errorf("%s did not come through", kept)
		}
		expect(t, "the client IP", target.got.Header.Get("CF-Connecting-IP"), "9.9.9.9")
		kept = []string{"my_field", "X_Custom", "X_Forwarded", "Proxy2", "_", "X_Request_ID2", "Content_Type"}
	}
}

func TestTrailersCannotSayWhatHeadsMust(t *testing.T) {
	h := unmistakable(lawfulTrailer(header("X-Forwarded-For", "1", "X-Real-IP", "1", "X_Request_ID", "1", "X-Request-ID", "1", "Proxy", "1", "X-Sum", "1")))
	expect(t, "trailer", fmt.Sprint(h), "[{X-Sum 1}]")
}

func TestRequestIDsOfClients(t *testing.T) {
	for _, sound := range []string{
		"mine", "0a1b2c3d-0000-4000-8000-1234567890ab", "Root=1-67891233-abcdef012345678912345678;Self=1", "a/b+c==", "x", strings.Repeat("x", 255),
		"00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01", "{}", "a:b,c",
	} {
		target := answers(200, "", 0)
		entry := newStage(target).serve(t, newExchange("GET", "/", "x-request-id", sound))
		expect(t, "the target's", strings.Join(target.got.Header.Values("X-Request-ID"), "|"), sound)
		expect(t, "the log's", entry.RequestID, sound)
	}
	for _, odd := range []string{
		"", "a b", "a\tb", "é", "\x80", "\u202e", `a"b`, "a'b", "a`b", `a\b`, "<b>", strings.Repeat("x", 256),
	} {
		target := answers(200, "", 0)
		entry := newStage(target).serve(t, newExchange("GET", "/", "X-Request-ID", odd, "x-request-id", "second"))
		ids := target.got.Header.Values("X-Request-ID")
		if len(ids) != 1 || len(ids[0]) != 36 || ids[0] != entry.RequestID {
			t.Errorf("%q became %q, and %q in the log", odd, ids, entry.RequestID)
		}
	}
	target := answers(200, "", 0)
	newStage(target).serve(t, newExchange("GET", "/", "X-Request-ID", "first", "X-Request-ID", "second"))
	expect(t, "of two", strings.Join(target.got.Header.Values("X-Request-ID"), "|"), "first")
}

func TestNoTrailerIsAnnouncedThatIsNotSent(t *testing.T) {
	for list, want := range map[string]string{
		"X-Sum": "X-Sum", "X-Sum,X-Other": "X-Sum,X-Other", "X-Sum, Content-Length": "X-Sum", "Set-Cookie, X-Sum , transfer-encoding": "X-Sum",
		"Content-Length": "", "": "", "X-Forwarded-For, X_Request_ID": "",
	} {
		h := announcing(header("A", "1", "trailer", list, "B", "2"))
		if h.Get("Trailer") != want || h.Has("Trailer") != (want != "") || h.Get("A")+h.Get("B") != "12" {
			t.Errorf("%q became %v", list, h)
		}
	}
}
