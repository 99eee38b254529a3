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
	"kamal-proxy/transport/buffer"
	"kamal-proxy/transport/crash"
	"kamal-proxy/transport/http1"
	"kamal-proxy/transport/upstream"
)

// statusClientGone is logged, and never sent, where the client left before it
// got an answer.
const statusClientGone = 499

var (
	errClientGone       = errors.New("the client has gone")
	errNotSender        = errors.New("the target takes no requests: it was not connected by transport/upstream")
	errRequestTooLarge  = errors.New("the request's body is larger than --max-request-body allows")
	errResponseTooLarge = errors.New("the response's body is larger than --max-response-body allows")
	errUninvited        = errors.New("the target switched protocols without being asked to")
)

// failures says which status a failure is answered with. The first that fits
// counts; without one it is the client's, or else 502: the target could not be
// reached, or what it said was not HTTP.
var failures = []struct {
	cause  error
	status int
}{
	{errClientGone, statusClientGone},
	{service.ErrDrained, http.StatusGatewayTimeout},
	{service.ErrReplaced, http.StatusGatewayTimeout},
	{service.ErrEnding, http.StatusGatewayTimeout},
	{upstream.ErrTimeout, http.StatusGatewayTimeout},
	{http1.ErrMalformedResponse, http.StatusBadGateway},
	{errRequestTooLarge, http.StatusRequestEntityTooLarge},
	{errResponseTooLarge, http.StatusInternalServerError},
	{system.ErrStopped, http.StatusServiceUnavailable},
	{system.ErrCrashed, http.StatusInternalServerError},
	{crash.ErrPanicked, http.StatusInternalServerError},
}

func statusOf(err error) int {
	for _, f := range failures {
		if errors.Is(err, f.cause) {
			return f.status
		}
	}
	var disk *buffer.DiskError
	if errors.As(err, &disk) {
		return http.StatusInternalServerError
	}
	var client *buffer.ClientError
	if errors.As(err, &client) {
		return statusClientGone
	}
	var refused *http1.Error
	if errors.As(err, &refused) {
		return refused.Status
	}
	var upload *upstream.BodyError
	if errors.As(err, &upload) {
		return uploadStatus(upload.Err)
	}
	return http.StatusBadGateway
}

// uploadStatus is that of a request whose body could not be read. What came in
// time and to its end is malformed.
func uploadStatus(err error) int {
	var network net.Error
	switch {
	case errors.Is(err, os.ErrDeadlineExceeded):
		return http.StatusRequestTimeout
	case errors.Is(err, io.ErrUnexpectedEOF), errors.As(err, &network):
		return statusClientGone
	}
	return http.StatusBadRequest
}

// fail ends a request whose answer could not be had, or not to its end.
func (v *visit) fail(err error) {
	err = v.reason(err)
	v.blame(err)
	status := statusOf(err)
	var panicked *crash.Error
	switch {
	case errors.As(err, &panicked):
		v.panicked = true
		panicked.Log(v.proxy.config.Logger).Str("request_id", v.entry.RequestID).Str("service", v.entry.Service).Msg("Request panicked")
	case status == http.StatusBadGateway, errors.Is(err, upstream.ErrTimeout):
		v.warn(err, "Target failed to answer")
	case status == http.StatusInternalServerError:
		v.warn(err, "Request could not be answered")
	}
	v.giveUp(status)
}

// reason returns why the request was ended, if it was, which says more than how
// it then failed.
func (v *visit) reason(err error) error {
	cause, left := v.cutoff.Err(), context.Cause(v.x.Context())
	switch {
	case left != nil && (cause == nil || errors.Is(cause, left)):
		return errClientGone
	case cause != nil:
		return cause
	}
	return err
}

func (v *visit) warn(err error, what string) {
	v.proxy.config.Logger.Warn().Err(err).Str("service", v.entry.Service).Str("target", v.entry.Target).
		Str("request_id", v.entry.RequestID).Msg(what)
}

// giveUp answers with an error page. A response that has begun is broken off
// instead, and the log says why; but a client that left then is logged with the
// status that it got. What is there of it goes out first: clients repeat a
// request whose connection ends without a word, a POST, too.
func (v *visit) giveUp(status int) {
	if v.tunnel {
		return // it has closed both its ends
	}
	v.part()
	sent, _ := v.x.Sent()
	if sent == 0 && status != statusClientGone {
		v.page(status, "", 0)
		return
	}
	if sent == 0 || status != statusClientGone {
		v.outcome = status
	}
	if sent != 0 && status != statusClientGone && !v.panicked {
		v.x.Flush()
	}
	v.x.Abort()
}
