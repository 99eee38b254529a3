package proxy

import (
	"net/http"

	"kamal-proxy/transport/exchange"
)

// send sends the request to its target, or to others if that does not answer,
// and gets the head of the response. It reports whether there is one; otherwise
// the request has been answered.
func (v *visit) send() bool {
	for {
		target, ok := v.verdict.Target.(Sender)
		if !ok {
			v.fail(errNotSender)
			return false
		}
		v.cutoff.hurried = v.verdict.Others
		response, err := target.Send(v.cutoff, v.request, v.inform)
		if err == nil {
			v.response = response
			v.answered()
			return true
		}
		if !v.again(err) {
			v.fail(err)
			return false
		}
	}
}

// interim passes on a response before the final one. 100 Continue is not: the
// ingress sends it when the body is first read.
func (v *visit) interim(status int, header exchange.Header) error {
	if status == http.StatusContinue {
		return nil
	}
	return asClientGone(v.x.Inform(status, endToEnd(header, false)))
}
