package proxy

import (
	"net/http"
	"strconv"
	"strings"
	"time"

	"kamal-proxy/transport/exchange"
	"kamal-proxy/transport/pages"
)

// respond answers by the verdict alone.
func (v *visit) respond() {
	if v.verdict.Status == http.StatusOK {
		v.reply(http.StatusOK, nil, nil)
		return
	}
	v.page(v.verdict.Status, v.verdict.Message, v.verdict.RetryAfter)
}

// page answers with the service's page for a status. Nothing of a target's
// response is on it.
func (v *visit) page(status int, message string, retryAfter time.Duration) {
	header := exchange.Header{
		{Name: "Content-Type", Value: pages.ContentType},
		{Name: "Cache-Control", Value: "no-store"},
	}
	if v.panicked && strings.HasPrefix(v.request.Proto, "HTTP/1.") {
		header.Add("Connection", "close")
	}
	if retryAfter > 0 {
		seconds := (retryAfter + time.Second - 1) / time.Second
		header.Add("Retry-After", strconv.FormatInt(int64(seconds), 10))
	}
	v.reply(status, header, v.pages().Render(status, message))
}

// pages returns the service's own pages, or the proxy's.
func (v *visit) pages() *pages.Pages {
	if own, ok := v.policy.Assets.Pages.(*pages.Pages); ok && own != nil {
		return own
	}
	return v.proxy.config.Pages
}

// redirect sends the client to the same path and query, byte for byte, by
// another scheme or host. The host comes first, so a path of "//x" stays one.
func (v *visit) redirect() {
	host := v.verdict.Host
	if strings.ContainsRune(host, ':') {
		host = "[" + host + "]"
	}
	target := v.request.Target
	if !strings.HasPrefix(target, "/") { // "*"
		target = "/"
	}
	v.reply(http.StatusMovedPermanently, exchange.Header{
		{Name: "Location", Value: v.verdict.Scheme + "://" + host + target},
		{Name: "Connection", Value: "close"},
	}, nil)
}

// reply sends a response of our own. A client that does not take it has gone:
// its ingress ends the exchange.
func (v *visit) reply(status int, header exchange.Header, body []byte) {
	v.noteSent(header)
	if err := v.x.Respond(status, header, int64(len(body))); err == nil && len(body) > 0 {
		v.x.Write(body)
	}
}
