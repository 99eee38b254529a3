package proxy

import (
	"kamal-proxy/transport/buffer"
	"kamal-proxy/transport/upstream"
)

// collect waits for the whole of a request's body, if the service wants that,
// so that the target is not held up by a slow client. It reports whether there
// is something to send; otherwise the request has been answered.
func (v *visit) collect() bool {
	o := &v.policy.TargetOptions
	if !o.BufferRequests || v.request.ContentLength == 0 {
		return true
	}
	v.cutoff.reading(v.request.Body)
	err := v.cutoff.Err()
	if err == nil {
		v.collected, err = buffer.Request(v.request, v.limits(o.MaxRequestBodySize))
		v.cutoff.reading(nil)
	}
	if err != nil {
		v.fail(uploadError(err))
		return false
	}
	v.request.Header.Del("Expect") // what it waited for has been said
	return true
}

// limits are the service's for a body that may have size bytes.
func (v *visit) limits(size int64) buffer.Limits {
	return buffer.Limits{Memory: v.policy.TargetOptions.MaxMemoryBufferSize, Size: size}
}

func uploadError(err error) error {
	if err == buffer.ErrTooLarge {
		return errRequestTooLarge
	}
	return &upstream.BodyError{Err: err}
}
