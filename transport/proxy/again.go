package proxy

import (
	"context"
	"errors"
	"strings"

	"kamal-proxy/actors/service"
	"kamal-proxy/transport/http1"
	"kamal-proxy/transport/upstream"
)

// elsewhere asks for another target for a request that ended with err, nil too.
// ok is false where there is none, or the request cannot be sent again: then
// err is its answer. Where err says that it could be, the service knows of it.
func (p *Proxy) elsewhere(ctx context.Context, l *service.Lease, f *service.Facts, cut func(error), err error) (to service.Verdict, ok bool) {
	var unanswered *upstream.UnansweredError
	if l == nil || !errors.As(err, &unanswered) {
		return service.Verdict{}, false
	}
	r := service.NewRoute()
	r.Facts, r.Cut = *f, cut
	p.again(l, r, err.Error(), unanswered.Unsent)
	to, failed := p.await(r, ctx, p.config.Leave)
	return to, failed == nil && to.Action == service.Forward
}

// again asks for another target for a request that its target did not answer,
// and reports whether there is one. Otherwise err is the request's answer.
func (v *visit) again(err error) bool {
	var unanswered *upstream.UnansweredError
	if !errors.As(err, &unanswered) || v.cutoff.Err() != nil {
		return false
	}
	var facts service.Facts
	v.state(&facts)
	v.blamed = true
	verdict, ok := v.proxy.elsewhere(v.x.Context(), v.verdict.Lease, &facts, v.cutoff.cut, err)
	if !ok {
		return false
	}
	failed := v.entry.Target
	v.move(&verdict)
	v.proxy.config.Logger.Debug().Err(err).Str("service", v.entry.Service).Str("target", failed).
		Str("request_id", v.entry.RequestID).Str("next", verdict.TargetName).Msg("Target failed to answer, another one is asked")
	v.cutoff.deadline = unanswered.Deadline
	return true
}

// move gives the request the target and the lease of another verdict.
func (v *visit) move(to *service.Verdict) {
	last := v.verdict.TargetName
	v.verdict.Target, v.verdict.TargetName, v.verdict.Lease = to.Target, to.TargetName, to.Lease
	h := &v.request.Header
	h.Set(fieldTarget, strings.TrimSuffix(h.Get(fieldTarget), last)+to.TargetName)
	v.verdict.Stick, v.verdict.Others = to.Stick, to.Others
	v.entry.Target = to.TargetName
	v.entry.Retries++
	v.blamed = false
	if v.counted {
		v.proxy.config.Metrics.Retry(v.entry.Service)
	}
}

// answered notes that the target has answered.
func (v *visit) answered() {
	if v.verdict.Lease != nil {
		v.verdict.Lease.Answered()
	}
}

// blame notes that the request failed, if it was its target's fault. What the
// service was asked about it knows.
func (v *visit) blame(err error) {
	if v.verdict.Lease != nil && !v.blamed && targetsFault(err) {
		v.verdict.Lease.Failed(err.Error())
	}
}

func targetsFault(err error) bool {
	for _, fault := range [...]error{upstream.ErrUnreachable, upstream.ErrTimeout, upstream.ErrBroken, http1.ErrMalformedResponse} {
		if errors.Is(err, fault) {
			return true
		}
	}
	return false
}
