package proxy

import (
	"io"
	"net/http"
	"sync/atomic"

	"kamal-proxy/transport/exchange"
)

// send sends the request to its target and returns the head of the response,
// or answers the client and returns nil.
func (v *visit) send() *exchange.Response {
	target, ok := v.verdict.Target.(Sender)
	if !ok {
		v.fail(errNotSender)
		return nil
	}
	upload := v.watchUpload()
	response, err := target.Send(v.ctx, v.request, v.inform)
	if err == nil {
		return response
	}
	if broken := upload.broken(); broken != nil {
		err = broken
	}
	v.fail(err)
	return nil
}

// interim passes on a response before the final one. 100 Continue is not: the
// ingress sends it when the body is first read.
func (v *visit) interim(status int, header exchange.Header) error {
	if status == http.StatusContinue {
		return nil
	}
	return v.x.Inform(status, endToEnd(header, false))
}

// upload is a request's body that remembers how its reading failed, to tell
// the client's faults from the target's. It may be read on another goroutine.
type upload struct {
	body    io.Reader
	failure atomic.Pointer[uploadError]
}

// watchUpload puts an upload in the place of the request's body, if it has one.
func (v *visit) watchUpload() *upload {
	if v.request.ContentLength == 0 {
		return nil
	}
	u := &upload{body: v.request.Body}
	v.request.Body = u
	return u
}

func (u *upload) Read(p []byte) (int, error) {
	n, err := u.body.Read(p)
	if err != nil && err != io.EOF {
		u.failure.CompareAndSwap(nil, &uploadError{err})
	}
	return n, err
}

// broken returns an *uploadError if the client broke its message, or nil.
func (u *upload) broken() error {
	if u == nil {
		return nil
	}
	if failure := u.failure.Load(); failure != nil {
		return failure
	}
	return nil
}
