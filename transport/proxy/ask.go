package proxy

import (
	"net/http"
	"strings"

	"kamal-proxy/actors/service"
	"kamal-proxy/actors/spec"
)

// ask puts the request's question and waits for its verdict, which takes as
// long as the service holds its requests. It reports whether there is one;
// otherwise the request has been answered.
func (v *visit) ask() bool {
	route := service.NewRoute()
	v.state(&route.Facts)
	route.Cut = v.cutoff.cut
	v.proxy.config.Ask(route)
	verdict, err := v.proxy.await(route, v.x.Context(), v.proxy.config.Leave)
	if err != nil {
		v.fail(err)
		return false
	}
	v.verdict = verdict
	if verdict.Policy != nil {
		v.policy = verdict.Policy
	}
	v.entry.Service, v.entry.Target = verdict.Service, verdict.TargetName
	v.noteWanted()
	v.count()
	return true
}

// state fills in the facts of the request, as copies: an abandoned question is
// looked at when the connection's buffers hold another request.
func (v *visit) state(f *service.Facts) {
	r := v.request
	f.Host, f.Path = cloneBoth(spec.RequestHost(r.Authority), r.Path)
	f.Method = cloneMethod(r.Method)
	f.TLS = r.Scheme == "https"
	f.Upgrade = r.Upgrade != ""
	cookies(r.Header, f)
}

// cloneBoth copies two strings at the price of one.
func cloneBoth(a, b string) (string, string) {
	var both strings.Builder
	both.Grow(len(a) + len(b))
	both.WriteString(a)
	both.WriteString(b)
	s := both.String()
	return s[:len(a)], s[len(a):]
}

func cloneMethod(method string) string {
	switch method {
	case http.MethodGet:
		return http.MethodGet
	case http.MethodHead:
		return http.MethodHead
	case http.MethodPost:
		return http.MethodPost
	}
	return strings.Clone(method)
}

// count tells the metrics that the request is under way, unless its path is
// none of their business.
func (v *visit) count() {
	metrics := v.proxy.config.Metrics
	if metrics == nil || v.verdict.Service == "" {
		return
	}
	path := stripped(v.request.Path, v.verdict.Prefix)
	for _, excluded := range v.policy.Options.ExcludeMetricsPaths {
		if path == excluded {
			return
		}
	}
	metrics.Begin(v.verdict.Service)
	v.counted = true
}
