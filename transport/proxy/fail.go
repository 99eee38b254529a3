package proxy

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"os"

	"kamal-proxy/actors/service"
	"kamal-proxy/actors/system"
	"kamal-proxy/transport/http1"
)

// statusClientGone is logged, and never sent, where the client left before it
// got an answer.
const statusClientGone = 499

var (
	errNotSender  = errors.New("the target takes no requests: it was connected by something else than transport/upstream")
	errClientGone = errors.New("the client has gone")
	errUninvited  = errors.New("the target switched protocols without being asked to")
)

// failures says which status a failure is answered with; any other is 502: the
// target could not be reached, or what it said was not HTTP.
var failures = []struct {
	cause  error
	status int
}{
	{errClientGone, statusClientGone},
	{service.ErrDrained, http.StatusGatewayTimeout},
	{service.ErrReplaced, http.StatusGatewayTimeout},
	{system.ErrStopped, http.StatusServiceUnavailable},
	{system.ErrCrashed, http.StatusInternalServerError},
}

func statusOf(err error) int {
	for _, f := range failures {
		if errors.Is(err, f.cause) {
			return f.status
		}
	}
	var broken *uploadError
	if errors.As(err, &broken) {
		return broken.status()
	}
	return http.StatusBadGateway
}

// uploadError is what the client's side said when the request's body was read.
type uploadError struct{ error }

func (e *uploadError) Unwrap() error { return e.error }

// status is the one that the codec refuses the body with, where it does. A
// body that is neither slow nor cut short is malformed.
func (e *uploadError) status() int {
	var refused *http1.Error
	var network net.Error
	switch {
	case errors.As(e.error, &refused):
		return refused.Status
	case errors.Is(e.error, os.ErrDeadlineExceeded):
		return http.StatusRequestTimeout
	case errors.Is(e.error, io.ErrUnexpectedEOF), errors.As(e.error, &network):
		return statusClientGone
	}
	return http.StatusBadRequest
}

// fail ends a request whose answer could not be had, or not to its end.
func (v *visit) fail(err error) {
	if cause := context.Cause(v.ctx); cause != nil {
		err = cause // why the request was ended says more than how it then failed
	}
	if v.x.Context().Err() != nil {
		err = errClientGone
	}
	status := statusOf(err)
	if status == http.StatusBadGateway {
		v.proxy.config.Logger.Warn().Err(err).Str("service", v.entry.Service).Str("target", v.entry.Target).
			Str("request_id", v.entry.RequestID).Msg("Target failed to answer")
	}
	v.giveUp(status)
}

// giveUp answers with an error page. Where a part of the response has been
// sent it breaks it off instead, and the log says why.
func (v *visit) giveUp(status int) {
	if v.tunnel {
		return // it has closed both its ends
	}
	sent, _ := v.x.Sent()
	switch {
	case status == statusClientGone && sent != 0: // it was sent what the log says
		v.x.Abort()
	case status == statusClientGone || sent != 0:
		v.outcome = status
		v.x.Abort()
	default:
		v.page(status, "", 0)
	}
}
